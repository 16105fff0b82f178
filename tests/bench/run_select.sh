#!/usr/bin/env bash
# The benches of choosing: ours and the peers, each pair in one run. TROMMEL_PEER_PYTHON names a python with numpy, pandas,
# pyarrow, faiss-cpu, pyahocorasick, webdataset (`make peers`). SELECT_ROWS sets the sizes of `select` (1e6 1e7 5e7 by default).
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
export TROMMEL_PEER_PYTHON="${TROMMEL_PEER_PYTHON:-$PWD/target/peers/bin/python}"
if [ ! -x "$TROMMEL_PEER_PYTHON" ]; then
  echo "SKIPPED: no python with the peers at $TROMMEL_PEER_PYTHON (make peers)" >&2
  exit 0
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# The newest program of a bench.
bench() { ls -t "$target"/release/deps/"$1"-* | grep -v '\.d$' | head -1; }
only="${SELECT_ONLY:-select,metaclip,m4,reshard,clusters}"
wants() { [[ ",$only," == *",$1,"* ]]; }

if wants select; then
  echo "== select"
  # shellcheck disable=SC2086
  "$TROMMEL_PEER_PYTHON" tests/bench/select_datacomp.py "$target/release/trommel" "$work" ${SELECT_ROWS:-1e6 1e7 5e7}
fi
if wants metaclip; then
  echo "== metaclip: matching captions against 500,000 entries"
  "$(bench metaclip)"
fi
if wants m4; then
  echo "== m4: fit and apply over 10 million rows, ours then numpy"
  "$(bench m4)"
  "$TROMMEL_PEER_PYTHON" tests/bench/m4_numpy.py
fi
if wants reshard; then
  echo "== reshard"
  "$(bench reshard)"
fi
if wants clusters; then
  echo "== clusters"
  "$TROMMEL_PEER_PYTHON" tests/bench/clusters_faiss.py "$work/clusters" "$(bench clusters)" 1
fi

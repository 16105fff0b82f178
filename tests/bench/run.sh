#!/usr/bin/env bash
# The benches: ours, the peer and the limit in one run, as a table on standard output.
# TROMMEL_PEER_PYTHON names a python with img2dataset, cc2dataset and pyarrow (`make peers`); without it the peers' columns are
# left out, loudly. BENCH_ONLY=extract,fetch,language,dedupe,memory picks some.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
default="$PWD/target/peers/bin/python"
export TROMMEL_PEER_PYTHON="${TROMMEL_PEER_PYTHON:-$default}"
if [ ! -x "$TROMMEL_PEER_PYTHON" ]; then
  echo "SKIPPED: no python with the peers at $TROMMEL_PEER_PYTHON (make peers); ours alone is measured" >&2
fi
exec python3 tests/bench/bench.py "$target/release/trommel" "$target/release/deps"

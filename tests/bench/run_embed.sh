#!/usr/bin/env bash
# The benches of models: ours, PyTorch and the limit in one run, then `trommel embed` over stored shards.
# TROMMEL_PEER_PYTHON names a python with torch and transformers (`make peers`); without it nothing can be compared, and the
# checkpoints at real sizes cannot be made.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
export TROMMEL_PEER_PYTHON="${TROMMEL_PEER_PYTHON:-$PWD/target/peers/bin/python}"
if [ ! -x "$TROMMEL_PEER_PYTHON" ]; then
  echo "SKIPPED: no python with the peers at $TROMMEL_PEER_PYTHON (make peers)" >&2
  exit 0
fi
exec python3 tests/bench/embed.py "$target/release/trommel" "$target/release/deps"

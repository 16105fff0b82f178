"""Pairs of 256-bit codes within 31 bits: ours and faiss on the same codes, in turns.

    python tests/bench/near_faiss.py PROGRAM [ROWS] [FLAT_QUERIES]

PROGRAM is the bench executable `near` (target/release/deps/near-*); it writes the codes and groups them before the peers run. Both use two
threads. IndexBinaryFlat.range_search is timed on FLAT_QUERIES of the rows and scaled, because its time is queries times rows.
IndexBinaryMultiHash and IndexBinaryHash search all rows, or a part that is scaled; their recall is the share of the
planted pairs (every tenth row copies one of the nine before it) that the search of the copy finds, beside ours.
"""

import os
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "2"

import faiss  # noqa: E402
import numpy as np  # noqa: E402

PROGRAM = sys.argv[1]
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
FLAT_QUERIES = int(sys.argv[3]) if len(sys.argv) > 3 else 2_000
LIMIT = 31


def mix(seed, k):
    with np.errstate(over="ignore"):
        z = seed ^ ((k + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def recall(rows, lims, found):
    """The share of copies among `rows` whose original is among what was found."""
    hit = 0
    for place, row in enumerate(rows):
        of = row - 1 - int(mix(np.uint64(row), np.uint64(99)) % np.uint64(9))
        hit += of in found[lims[place] : lims[place + 1]]
    return hit / max(len(rows), 1)


def timed(name, index, codes, queries):
    copies = np.arange(9, ROWS, 10)
    step = max(1, len(copies) // queries)
    rows = copies[::step][:queries]
    start = time.perf_counter()
    # faiss counts pairs strictly below the radius.
    lims, _, found = index.range_search(codes[rows], LIMIT + 1)
    seconds = time.perf_counter() - start
    whole = seconds * ROWS / len(rows)
    print(f"{name}: {len(rows)} queries in {seconds:.2f} s, all {ROWS} would take {whole:.1f} s; recall of planted pairs {recall(rows, lims, found):.4f}")
    return whole


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "codes.bin")
    subprocess.run([PROGRAM, "write-codes", str(ROWS), path], check=True)
    codes = np.fromfile(path, dtype=np.uint8).reshape(-1, 32)
for method in ("auto", "sampled"):
    print(subprocess.run([PROGRAM, "hamming", str(ROWS), "1400", method], check=True, capture_output=True, text=True).stdout, end="")
faiss.omp_set_num_threads(2)

flat = faiss.IndexBinaryFlat(256)
flat.add(codes)
timed("IndexBinaryFlat", flat, codes, FLAT_QUERIES)

for hashes, bits, flips in ((16, 16, 1), (16, 16, 0)):
    start = time.perf_counter()
    multi = faiss.IndexBinaryMultiHash(256, hashes, bits)
    multi.nflip = flips
    multi.add(codes)
    built = time.perf_counter() - start
    timed(f"IndexBinaryMultiHash {hashes} x {bits} bits, {flips} flips (built in {built:.1f} s)", multi, codes, FLAT_QUERIES)

start = time.perf_counter()
single = faiss.IndexBinaryHash(256, 16)
single.nflip = 3
single.add(codes)
built = time.perf_counter() - start
timed(f"IndexBinaryHash 16 bits, 3 flips (built in {built:.1f} s)", single, codes, FLAT_QUERIES)

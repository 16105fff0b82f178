"""MinHash signatures and LSH of captions: ours and datasketch on the same texts, in turns.

    python tests/bench/near_datasketch.py PROGRAM [TEXTS] [PEER_TEXTS]

PROGRAM is the bench executable `near` (target/release/deps/near-*). The peer makes 5-grams of characters and signatures of 128 permutations,
one thread, once with `update` for each shingle and once with `MinHash.bulk`, its fastest way; then inserts into and queries its LSH. It
runs on the first PEER_TEXTS texts. Ours prints the same shingles and permutations as "128 permutations".
"""

import os
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

from datasketch import MinHash, MinHashLSH  # noqa: E402

PROGRAM = sys.argv[1]
TEXTS = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
PEER_TEXTS = int(sys.argv[3]) if len(sys.argv) > 3 else 2_000

print(subprocess.run([PROGRAM, "minhash", str(TEXTS)], check=True, capture_output=True, text=True).stdout, end="")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "texts.txt")
    subprocess.run([PROGRAM, "write-texts", str(TEXTS), path], check=True)
    with open(path, encoding="utf-8") as lines:
        texts = [line.rstrip("\n") for _, line in zip(range(PEER_TEXTS), lines)]


def shingles(text):
    return [text[i : i + 5].encode() for i in range(len(text) - 4)]


start = time.perf_counter()
for text in texts:
    one = MinHash(num_perm=128)
    for shingle in shingles(text):
        one.update(shingle)
each = len(texts) / (time.perf_counter() - start)
print(f"datasketch, update: signatures on one thread {each:.0f} texts/s")

start = time.perf_counter()
signatures = MinHash.bulk([shingles(text) for text in texts], num_perm=128)
bulk = len(texts) / (time.perf_counter() - start)
print(f"datasketch, bulk: signatures on one thread {bulk:.0f} texts/s")

start = time.perf_counter()
lsh = MinHashLSH(num_perm=128, params=(16, 8))
for row, signature in enumerate(signatures):
    lsh.insert(row, signature)
for signature in signatures:
    lsh.query(signature)
whole = len(texts) / (time.perf_counter() - start + len(texts) / bulk)
print(f"datasketch, bulk + LSH insert + query: {whole:.0f} texts/s")

"""Self-dedup by nearest neighbours: ours and faiss for Python on the same vectors, in turns.

    python tests/bench/index_faiss.py FOLDER PROGRAM [ROUNDS] [OPTIONS OF THE PROGRAM ...]

PROGRAM is the bench executable `neighbours` (target/release/deps/neighbours-*); it makes the vectors in FOLDER and runs
before the peer in each round. Both use two threads. The peer builds the index of the same kind (IndexFlatIP, or
IndexIVFFlat with the same number of lists and probes, trained on 64 vectors for each list), asks for 65 neighbours of every
row (itself among them) and keeps those above 0.6; building and training count for both.
"""

import json
import os
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "2"

import faiss  # noqa: E402
import numpy as np  # noqa: E402

FOLDER, PROGRAM = sys.argv[1], sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3


def peer(vectors, lists, probes):
    start = time.perf_counter()
    dim = vectors.shape[1]
    if lists == 0:
        index = faiss.IndexFlatIP(dim)
    else:
        index = faiss.index_factory(dim, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.max_points_per_centroid = 64
        index.cp.niter = 10
        index.train(vectors)
        index.nprobe = probes
    index.add(vectors)
    edges, total = 0, 0.0
    for first in range(0, len(vectors), 65_536):
        similarities, ids = index.search(vectors[first : first + 65_536], 65)
        own = np.arange(first, first + len(ids))[:, None]
        found = (similarities > 0.6) & (ids != own) & (ids >= 0)
        # Without itself among the 65 the last one is one too many.
        surplus = found.sum(axis=1) > 64
        found[surplus, -1] = False
        edges += int(found.sum())
        total += float(similarities[found].sum(dtype=np.float64))
    return (time.perf_counter() - start) * 1e3, edges, total


faiss.omp_set_num_threads(2)
ratios = []
print("| round | ours, ms | faiss, ms | faiss / ours | edges, ours and faiss | recall of ours |\n|---|---:|---:|---:|---:|---:|")
for number in range(1, ROUNDS + 1):
    subprocess.run([PROGRAM, FOLDER, "--threads", "2", *sys.argv[4:]], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(FOLDER, "ours.json")) as file:
        ours = json.load(file)
    milliseconds, edges, _ = peer(np.load(os.path.join(FOLDER, "vectors.npy")), ours["lists"], ours["probes"])
    ratios.append(milliseconds / ours["ms"])
    print(f"| {number} | {ours['ms']} | {milliseconds:.0f} | {ratios[-1]:.2f} | {ours['edges']}, {edges} | {ours['recall']} |", flush=True)
print(f"faiss {faiss.__version__} / ours: {min(ratios):.2f} to {max(ratios):.2f}, median {sorted(ratios)[len(ratios) // 2]:.2f}")

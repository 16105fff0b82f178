"""k-means and SemDeDup: ours and faiss on the same vectors, in turns.

    python tests/bench/clusters_faiss.py FOLDER PROGRAM [ROUNDS]

PROGRAM is the bench executable `clusters` (target/release/deps/clusters-*); it makes the vectors in FOLDER and runs before
the peer in each round. Both use two threads. k-means: faiss.Kmeans with the same number of iterations, then the search
for all rows. SemDeDup: the original's steps per cluster (sort, X @ X.T, upper triangle, largest per column) with numpy
on the clusters that ours was given; faiss has no such step.
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


def load(name):
    return np.load(os.path.join(FOLDER, name))


def peer_kmeans(vectors, clusters, iterations):
    start = time.perf_counter()
    kmeans = faiss.Kmeans(vectors.shape[1], clusters, niter=iterations, seed=0, max_points_per_centroid=10_000_000)
    kmeans.train(vectors)
    distances, _ = kmeans.index.search(vectors, 1)
    return (time.perf_counter() - start) * 1e3, float(distances.sum(dtype=np.float64))


def peer_semdedup(vectors, clusters, distances):
    start = time.perf_counter()
    result = np.zeros(len(vectors), np.float32)
    for cluster in np.unique(clusters):
        rows = np.nonzero(clusters == cluster)[0]
        rows = rows[np.argsort(-distances[rows], kind="stable")]
        own = vectors[rows]
        result[rows] = np.triu(own @ own.T, 1).max(axis=0)
    return (time.perf_counter() - start) * 1e3, result


faiss.omp_set_num_threads(2)
ratios = {"k-means": [], "SemDeDup": []}
print("| round | step | ours, ms | peer, ms | peer / ours | |\n|---|---|---:|---:|---:|---|")
for number in range(1, ROUNDS + 1):
    subprocess.run([PROGRAM, FOLDER, "--threads", "2"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(FOLDER, "ours.json")) as file:
        ours = json.load(file)
    vectors = load("vectors.npy")
    milliseconds, objective = peer_kmeans(vectors, ours["clusters"], ours["iterations"])
    ratios["k-means"].append(milliseconds / ours["kmeans_ms"])
    note = f"objective {ours['objective']:.1f} against {objective:.1f}, {ours['iterations']} iterations"
    print(f"| {number} | k-means | {ours['kmeans_ms']} | {milliseconds:.0f} | {ratios['k-means'][-1]:.2f} | {note} |", flush=True)
    milliseconds, similarities = peer_semdedup(vectors, load("clusters.npy"), load("distances.npy"))
    ratios["SemDeDup"].append(milliseconds / ours["semdedup_ms"])
    note = f"largest difference {np.abs(similarities - load('similarities.npy')).max():.1e}"
    print(f"| {number} | SemDeDup | {ours['semdedup_ms']} | {milliseconds:.0f} | {ratios['SemDeDup'][-1]:.2f} | {note} |", flush=True)
for step, found in ratios.items():
    print(f"{step}: peer / ours {min(found):.2f} to {max(found):.2f}, median {sorted(found)[len(found) // 2]:.2f}")

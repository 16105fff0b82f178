"""Recall of each kind of index against comparing every vector, on generated vectors.

    python tests/bench/index_recall.py TROMMEL FOLDER [--rows 1000000] [--dim 64] [--kinds "Flat IVF4096,Flat ..."] [--threads 2]

FOLDER gets a table of uids with its vectors beside it (`data/`), 1,000 queries and an index of each kind, made by `trommel index`.
The truth is what `Flat` answers. Every index is asked through faiss for Python at several settings; 100 of the queries are asked of
`trommel search` too, as the index comes, and must be answered alike. An index that is there stays; its seconds are kept beside it.

The vectors are like those of a model of pictures: a mixture of Gaussians whose parts are few large and many small ones, with means and
deviations that lie in few directions mostly, of length 1. The queries are further draws of the same mixture.
Needs numpy, faiss and pyarrow.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
# Threads that wait for each other by spinning take most of a machine that others use too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import faiss  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402

# `np`: without faiss's annealing of the codes for its polysemous filter, which takes minutes and is of no use to this search.
KINDS = "Flat IVF4096,Flat IVF4096,PQ16x8np IVF4096,PQ32x8np HNSW32"
K, QUERIES, ASKED = 10, 1000, 100


def mixture(rows, dim, seed=0, parts=2000):
    """Vectors of length 1, single precision."""
    random = np.random.default_rng(seed)
    # Deviations of the directions fall as those of stored vectors do: the first tenth has most of it.
    spectrum = (1 / np.sqrt(1 + np.arange(dim) / (dim / 10))).astype(np.float32)
    turn = np.linalg.qr(random.normal(size=(dim, dim)))[0].astype(np.float32)
    means = random.normal(size=(parts, dim)).astype(np.float32) * spectrum
    spread = random.uniform(0.4, 0.9, parts).astype(np.float32)
    share = 1 / np.arange(1, parts + 1) ** 0.8
    of = random.choice(parts, rows, p=share / share.sum())
    vectors = random.standard_normal((rows, dim), np.float32)
    for start in range(0, rows, 65_536):
        block, its = vectors[start : start + 65_536], of[start : start + 65_536]
        block[:] = (means[its] + block * spectrum * spread[its, None]) @ turn
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def write_data(folder, vectors, files=1):
    """Tables `00000.parquet`, ... of uids, with `00000.npz`, ... beside them. A row's uid is its number."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = [len(vectors) * (at + 1) // files for at in range(files)]
    start = 0
    for at, end in enumerate(ends):
        uids = [f"{row:032x}" for row in range(start, end)]
        parquet.write_table(pyarrow.table({"uid": uids}), folder / f"{at:05d}.parquet")
        np.savez(folder / f"{at:05d}.npz", made=vectors[start:end])
        start = end


def build(trommel, data, index, kind, threads, *options):
    """Seconds that an index took, those of the processor, and its length in bytes."""
    note = index.with_suffix(".seconds.json")
    if not note.exists():
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [trommel, "index", data, "-o", index, "--key", "made", "--factory", kind, "--threads", threads, "--quiet", *options]
        subprocess.run([str(word) for word in command], check=True, stderr=sys.stderr)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        note.write_text(json.dumps([time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]))
    return *json.loads(note.read_text()), (index / "index.faiss").stat().st_size


def asked(trommel, index, queries, *options):
    """The rows that `trommel search` finds for each vector of a file, the nearest first, and their similarities."""
    command = [trommel, "search", index, "--vectors", queries, "-k", K, "--json", "--columns", "uid", *options]
    lines = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE).stdout.splitlines()
    found = {}
    for line in map(json.loads, lines):
        found.setdefault(line["query"], []).append((int(line["uid"], 16), line["similarity"]))
    return [found[query] for query in sorted(found, key=lambda query: int(query.rsplit("#")[-1]))]


def alike(ours, theirs, similarities):
    """How many queries have the same answers. Of rows that are equally near either may be given."""
    same = 0
    for found, ids, values in zip(ours, theirs, similarities):
        mine = np.array([value for _, value in found])
        differing = {row for row, _ in found} ^ {int(row) for row in ids if row >= 0}
        value_of = dict(found) | {int(row): float(value) for row, value in zip(ids, values)}
        ties = all(abs(value_of[row] - values[-1]) < 1e-5 for row in differing)
        same += len(found) == len(ids) and ties and np.abs(mine - values).max() < 1e-4
    return same


def settings(kind):
    """Names of faiss's parameters and the values that are tried; none: as the index comes."""
    if "IVF" in kind:
        return [None, *({"nprobe": probes} for probes in (1, 16, 64, 256))]
    if "HNSW" in kind:
        return [None, *({"efSearch": ef} for ef in (16, 64, 256))]
    return [None]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trommel")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--kinds", default=KINDS)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    faiss.omp_set_num_threads(args.threads)
    data = args.folder / "data"
    if not (args.folder / "queries.npy").exists():
        vectors = mixture(args.rows + QUERIES, args.dim)
        write_data(data, vectors[: args.rows])
        np.save(args.folder / "asked.npy", vectors[args.rows :][:ASKED])
        np.save(args.folder / "queries.npy", vectors[args.rows :])
    queries = np.load(args.folder / "queries.npy")
    build(args.trommel, data, args.folder / "Flat", "Flat", args.threads)
    similarities, truth = faiss.read_index(str(args.folder / "Flat" / "index.faiss")).search(queries, K)
    exact = faiss.IndexFlatIP(args.dim)
    for file in sorted(data.glob("*.npz")):
        exact.add(np.load(file)["made"])
    halved = np.mean([len(set(a) & set(b)) / K for a, b in zip(exact.search(queries, K)[1], truth)])
    del exact
    print(f"Flat, whose vectors are halves, against single precision: recall@{K} {halved:.4f}")
    print(f"{args.rows} vectors of {args.dim}, median similarity of the nearest {np.median(similarities[:, 0]):.3f}, of the {K}th {np.median(similarities[:, -1]):.3f}")
    print(f"| index | built in s (CPU) | MB | setting | recall@{K} | nearest found | queries/s, faiss | search: same answers |\n|---|---:|---:|---|---:|---:|---:|---:|")
    good = True
    for kind in args.kinds.split():
        folder = args.folder / kind.replace(",", "-")
        seconds, busy, size = build(args.trommel, data, folder, kind, args.threads)
        index = faiss.read_index(str(folder / "index.faiss"))
        for setting in settings(kind):
            for name, value in (setting or {}).items():
                faiss.ParameterSpace().set_index_parameter(index, name, value)
            began = time.perf_counter()
            similarities, ids = index.search(queries, K)
            rate = len(queries) / (time.perf_counter() - began)
            recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, truth)])
            first = np.mean([b[0] in a for a, b in zip(ids, truth)])
            same = ""
            if setting is None:
                count = alike(asked(args.trommel, folder, args.folder / "asked.npy"), ids[:ASKED], similarities[:ASKED])
                good &= count == ASKED
                same = f"{count} of {ASKED}"
            said = "as it comes" if setting is None else ", ".join(f"{name} {value}" for name, value in setting.items())
            print(f"| {kind} | {seconds:.0f} ({busy:.0f}) | {size / 1e6:.0f} | {said} | {recall:.3f} | {first:.3f} | {rate:.0f} | {same} |", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

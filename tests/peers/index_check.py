"""Indexes of ours in faiss for Python, and of faiss in ours.

    python tests/peers/index_check.py FOLDER PROGRAM

PROGRAM is the bench executable `neighbours` (target/release/deps/neighbours-*). It builds an index of each kind in
FOLDER/KIND and writes the vectors, the queries and its answers; here every index is opened by faiss, whole and mapped, and
must give the same answers. Then faiss builds an index of each kind in FOLDER/peer and the program searches it. Cosines may
differ by 1e-5, and of equally similar vectors either may come first.
"""

import json
import os
import subprocess
import sys

import faiss
import numpy as np

FOLDER, PROGRAM = sys.argv[1], sys.argv[2]
KINDS = ["Flat", "HNSW32", "IVF256,Flat", "IVF256_HNSW32,Flat", "PCAR32,IVF256,SQ8", "SQ8"]


def program(*arguments):
    subprocess.run([PROGRAM, FOLDER, *arguments], check=True, stdout=subprocess.DEVNULL)


def folder(kind):
    return os.path.join(FOLDER, kind.replace(",", "-"))


def compare(kind, what, ours, theirs, least):
    same = np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(ours[0], theirs[0])])
    largest = np.abs(np.sort(ours[1])[:, ::-1] - np.sort(theirs[1])[:, ::-1]).max()
    verdict = "ok" if same >= least and largest < 1e-3 else "DIFFERENT"
    print(f"{kind:28} {what:12} same {same:.4f}, largest difference of cosines {largest:.1e}: {verdict}")
    return verdict == "ok"


program("--answers", "--rows", "20000", "--dim", "64", "--kinds", ";".join(KINDS))
queries = np.load(os.path.join(FOLDER, "queries.npy"))
vectors = np.load(os.path.join(FOLDER, "vectors.npy"))
good = True
for kind in KINDS:
    ids = np.load(os.path.join(folder(kind), "ids.npy")).astype(np.int64)
    similarities = np.load(os.path.join(folder(kind), "similarities.npy"))
    with open(os.path.join(folder(kind), "index.json")) as file:
        description = json.load(file)
    for what, flags in (("in memory", 0), ("mapped", faiss.IO_FLAG_MMAP)):
        index = faiss.read_index(os.path.join(folder(kind), "index.faiss"), flags)
        assert index.ntotal == description["vectors"] and index.metric_type == faiss.METRIC_INNER_PRODUCT
        theirs = index.search(queries, 10)
        good &= compare(kind, what, (ids, similarities), (theirs[1], theirs[0]), 0.995)
    uids = np.fromfile(os.path.join(folder(kind), "uids.bin"), "u8,u8")
    assert len(uids) == description["rows"] and int(uids["f1"][7]) == 7

os.makedirs(os.path.join(FOLDER, "peer"), exist_ok=True)
for kind in KINDS:
    index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    if "IVF" in kind:
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", 16)
    elif "HNSW" in kind:
        index.hnsw.efSearch = 64
    theirs = index.search(queries, 10)
    path = os.path.join(FOLDER, "peer", kind.replace(",", "-") + ".index")
    faiss.write_index(index, path)
    program("--open", path, "--rows", "20000", "--dim", "64")
    ids = np.load(path + ".ids.npy").astype(np.int64)
    good &= compare(kind, "of faiss", (ids, np.load(path + ".similarities.npy")), (theirs[1], theirs[0]), 0.995)
sys.exit(0 if good else 1)

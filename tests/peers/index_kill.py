"""An index whose building is killed, again and again, against one that nobody disturbed.

    python tests/peers/index_kill.py TROMMEL FOLDER [--rows 200000] [--dim 64] [--kinds "IVF256,Flat HNSW16 ..."] [--kills 10] [--seed 0]

`trommel index` is killed by SIGKILL at drawn moments between 0 and the seconds of an undisturbed build, and started again until it comes
to its end; then a new folder is begun, until so many kills came while it worked. A folder that is not finished must not be searched; of a
finished one every file must be the undisturbed one's to the byte, and the answers to 100 queries too. Vectors: `tests/bench/index_recall.py`.
Needs numpy, faiss and pyarrow.
"""

import argparse
import hashlib
import pathlib
import random
import shutil
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "bench"))
from index_recall import mixture, write_data  # noqa: E402

QUERIES = 100


def files(folder):
    """Names and digests of everything in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trommel")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--kinds", default="IVF256,Flat IVF256,PQ16x8np HNSW16")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    data, queries = args.folder / "data", args.folder / "queries.npy"
    vectors = mixture(args.rows + QUERIES, args.dim)
    write_data(data, vectors[: args.rows], files=3)
    np.save(queries, vectors[args.rows :])

    def command(index, kind):
        options = ["--key", "made", "--factory", kind, "--part-rows", args.rows // 12, "--threads", args.threads, "--quiet"]
        return [str(word) for word in [args.trommel, "index", data, "-o", index, *options]]

    def answers(index):
        asked = [str(word) for word in [args.trommel, "search", index, "--vectors", queries, "--json", "--columns", "uid"]]
        return subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    good = True
    for kind in args.kinds.split():
        draw = random.Random(f"{args.seed}/{kind}")
        whole = args.folder / f"{kind.replace(',', '-')}-whole"
        shutil.rmtree(whole, ignore_errors=True)
        began = time.perf_counter()
        subprocess.run(command(whole, kind), check=True)
        took = time.perf_counter() - began
        expected, said = files(whole), answers(whole)
        assert said.returncode == 0 and len(said.stdout.splitlines()) == 10 * QUERIES, said.stderr.decode()
        kills, found, indexes = 0, [], 0
        while kills < args.kills:
            index = args.folder / f"{kind.replace(',', '-')}-killed"
            shutil.rmtree(index, ignore_errors=True)
            while True:
                child = subprocess.Popen(command(index, kind), stderr=subprocess.PIPE)
                try:
                    _, error = child.communicate(timeout=draw.uniform(0, took))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.communicate()
                    kills += 1
                    found.append("index.json" if (index / "index.json").exists() else len(list(index.glob("parts/*.json"))))
                    if found[-1] != "index.json" and answers(index).returncode == 0:
                        print(f"{kind}: an index that is not finished answers")
                        good = False
                    continue
                if child.returncode != 0:
                    print(f"{kind}: {error.decode()}")
                    good = False
                break
            indexes += 1
            differing = sorted(name for name, digest in (files(index).items() ^ expected.items()))
            again = answers(index)
            if differing or again.returncode != 0 or again.stdout != said.stdout:
                good = False
                print(f"{kind}: DIFFERENT: {differing}, answers {'alike' if again.stdout == said.stdout else 'differ'}")
        print(f"{kind}: undisturbed {took:.1f} s; {kills} kills in {indexes} indexes, with so many parts done: {found}; files {sorted(expected)}", flush=True)
    print("every index is the undisturbed one to the byte, and answers alike" if good else "DIFFERENT")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

"""`trommel select` and DataComp's way over the same metadata, in one run.

    python3 tests/bench/select_datacomp.py TROMMEL FOLDER [ROWS ...]

For each number of rows (1, 10 and 50 million by default) a pool of DataComp's shape is made in FOLDER, and a language model
of the shape of lid.176 (fastText, 16 dimensions, two million buckets); ours and a plain version of DataComp's `baselines.py`
(pandas, one process a core, rows as Python objects as there) select from the pool. Printed:
seconds of both, their ratio, and the most memory that ours held. The subsets must be the same to the byte. The peer is run
up to 10 million rows: it holds the pool in memory.
"""

import json
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import time

import fasttext
import numpy
import pandas
import pyarrow
import pyarrow.parquet as parquet

PAIR = numpy.dtype("u8,u8")
WORDS = "the a of dog cat house red flower beach photo with in great old city mountain view new blue car table food shirt".split()
FILE_ROWS = 492_000
LANGUAGE = None


def make(folder, rows):
    folder.mkdir(parents=True)
    rng = numpy.random.default_rng(rows)
    texts = [" ".join(WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(1, 18))) for _ in range(200_000)]
    texts = pyarrow.array(texts)
    done = 0
    while done < rows:
        count = min(FILE_ROWS, rows - done)
        raw = rng.bytes(16 * count).hex()
        uids = pyarrow.array([raw[at : at + 32] for at in range(0, len(raw), 32)])
        pick = rng.integers(0, len(texts), count)
        table = pyarrow.table(
            {
                "uid": uids,
                "url": pyarrow.array([f"https://img{n % 5000}.example.com/p/{n}.jpg" for n in range(done, done + count)]),
                "text": texts.take(pyarrow.array(pick)),
                "original_width": rng.integers(40, 2000, count),
                "original_height": rng.integers(40, 2000, count),
                "clip_b32_similarity_score": rng.normal(0.24, 0.05, count).astype("float32"),
                "clip_l14_similarity_score": rng.normal(0.2, 0.06, count).astype("float32"),
            }
        )
        parquet.write_table(table, folder / f"{done // FILE_ROWS:05d}.parquet")
        done += count


def pairs(uids):
    return numpy.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids], dtype=PAIR)


def clip_part(task):
    path, threshold = task
    frame = pandas.read_parquet(path, columns=["uid", "clip_l14_similarity_score"])
    return pairs(frame["uid"].values[frame["clip_l14_similarity_score"].values >= threshold])


def clip_score(folder, pool):
    files = sorted(folder.glob("*.parquet"))
    scores = numpy.concatenate([pandas.read_parquet(path, columns=["clip_l14_similarity_score"]).values.ravel() for path in files])
    threshold = -numpy.sort(-scores)[int(len(scores) * 0.3)]
    return numpy.concatenate(list(pool.imap_unordered(clip_part, [(path, threshold) for path in files])))


def english(text):
    """As `baselines.py` asks fastText: row by row."""
    global LANGUAGE
    if LANGUAGE is None:
        LANGUAGE = fasttext.load_model(os.environ["LANGUAGE_MODEL"])
    # `predict` of the wrapper makes an array in a way that numpy 2 refuses; what it calls is the same.
    label = LANGUAGE.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
    return bool(label) and label[0][1] == "__label__en"


def laion_part(path):
    frame = pandas.read_parquet(path, columns=["uid", "text", "clip_b32_similarity_score"])
    keep = [score >= 0.28 and english(text) for score, text in zip(frame["clip_b32_similarity_score"].values, frame["text"].values)]
    return pairs(frame["uid"].values[numpy.array(keep)])


def laion2b(folder, pool):
    return numpy.concatenate(list(pool.imap_unordered(laion_part, sorted(folder.glob("*.parquet")))))


def basic_part(path):
    frame = pandas.read_parquet(path, columns=["uid", "text", "original_width", "original_height"])
    keep = [
        len(text.split()) > 2 and len(text) > 5 and min(w, h) >= 200 and max(w, h) / min(w, h) <= 3.0 and english(text)
        for text, w, h in zip(frame["text"].values, frame["original_width"].values, frame["original_height"].values)
    ]
    return pairs(frame["uid"].values[numpy.array(keep)])


def basic_filter(folder, pool):
    return numpy.concatenate(list(pool.imap_unordered(basic_part, sorted(folder.glob("*.parquet")))))


def language_model(root):
    """A model of the shape of lid.176: its size decides what a prediction costs, not what it has learnt."""
    path, text = root / "lid.bin", root / "lid.txt"
    if not path.exists():
        others = "der die das ein Hund Katzen Haus rote Blume le la les chien chats maison fleur plage una casa perro gato roja".split()
        with open(text, "w") as file:
            for at in range(20_000):
                label, words = ("en", WORDS) if at % 2 else ("xx", others)
                line = " ".join(words[(at * 7 + k * k) % len(words)] for k in range(1 + at % 9))
                file.write(f"__label__{label} {line}\n")
        model = fasttext.train_supervised(str(text), dim=16, epoch=3, minn=2, maxn=4, bucket=2_000_000, thread=1, verbose=0)
        model.save_model(str(path))
    return path


def rules_part(path):
    """`basic_filter` without its language model."""
    frame = pandas.read_parquet(path, columns=["uid", "text", "original_width", "original_height"])
    keep = [
        len(text.split()) > 2 and len(text) > 5 and min(w, h) >= 200 and max(w, h) / min(w, h) <= 3.0
        for text, w, h in zip(frame["text"].values, frame["original_width"].values, frame["original_height"].values)
    ]
    return pairs(frame["uid"].values[numpy.array(keep)])


def rules(folder, pool):
    return numpy.concatenate(list(pool.imap_unordered(rules_part, sorted(folder.glob("*.parquet")))))


JOBS = {
    "clip_score, top 30 %": (clip_score, ["--baseline", "clip_score", "--fraction", "0.3"]),
    "basic_filter": (basic_filter, ["--baseline", "basic_filter", "--lid-model", "LANGUAGE_MODEL"]),
    "laion2b": (laion2b, ["--baseline", "laion2b", "--lid-model", "LANGUAGE_MODEL"]),
    "basic_filter's rules": (
        rules,
        [
            "--where",
            "words(text) > 2 and chars(text) > 5 and least(original_width, original_height) >= 200 and "
            "greatest(original_width, original_height) / cast(least(original_width, original_height) as double) <= 3.0",
        ],
    ),
    "m4, fit and draw": (
        None,
        ["--balance", "m4", "--attribute", "dog=0.3: text like '%dog%'", "--label", "red: text like '%red%'", "--target-rate", "0.3"],
    ),
    "cap 1000 of a host": (None, ["--cap", "1000", "--cap-by", "split_part(url, '/', 3)", "--cap-order", "clip_l14_similarity_score"]),
}
BARE = ["--no-exclusions", "--no-pass-rates"]


def ours(binary, folder, output, flags):
    started = time.perf_counter()
    child = subprocess.Popen([binary, "select", str(folder), "-o", str(output), "--json", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    seconds = time.perf_counter() - started
    if child.returncode != 0:
        sys.exit(err.decode())
    return seconds, json.loads(out)


def memory(binary, folder, output, flags):
    """The most memory that a run held, in MiB: in a process of its own, since the kernel keeps the largest of all children."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        subprocess.run([binary, "select", str(folder), "-o", str(output), "--quiet", *flags], check=True)
        os.write(writer, str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reader, 20))


def main():
    binary, root = sys.argv[1], pathlib.Path(sys.argv[2])
    root.mkdir(parents=True, exist_ok=True)
    os.environ["LANGUAGE_MODEL"] = str(language_model(root))
    sizes = [int(float(rows)) for rows in sys.argv[3:]] or [1_000_000, 10_000_000, 50_000_000]
    print(f"{'rows':>12}  {'selection':<24} {'ours s':>8} {'all s':>8} {'peer s':>8} {'peer/ours':>9} {'MiB':>6}")
    for rows in sizes:
        folder = root / f"pool-{rows}"
        if not folder.exists():
            make(folder, rows)
        for name, (peer, flags) in JOBS.items():
            flags = [os.environ["LANGUAGE_MODEL"] if flag == "LANGUAGE_MODEL" else flag for flag in flags]
            output = root / "ours.npy"
            seconds, report = ours(binary, folder, output, [*flags, *BARE])
            whole, _ = ours(binary, folder, root / "whole.npy", flags)
            held = memory(binary, folder, root / "held.npy", flags)
            line = f"{rows:>12}  {name:<24} {seconds:>8.2f} {whole:>8.2f}"
            if peer is not None and rows <= 10_000_000:
                with multiprocessing.Pool() as pool:
                    started = time.perf_counter()
                    uids = peer(folder, pool)
                    uids.sort()
                    numpy.save(root / "theirs.npy", uids)
                    theirs = time.perf_counter() - started
                same = (root / "theirs.npy").read_bytes() == output.read_bytes()
                line += f" {theirs:>8.2f} {theirs / seconds:>9.1f}"
                if not same:
                    sys.exit(f"{line}\n{name}: not the same subset ({report['funnel']['kept']} of ours, {len(uids)})")
            else:
                line += f" {'':>8} {'':>9}"
            print(f"{line} {held:>6}", flush=True)


if __name__ == "__main__":
    main()

"""Local against a cluster of two executors on the same machine, pass by pass.

    python tests/bench/cluster.py BINARY [--pages 3000 | --rows 4000000] [--rounds 3]

Serves a miniature web, writes its WAT files, and runs one recipe with `--threads 2`, and on two executors with one slot
and one thread each. With `--rows` there is nothing to fetch: so many generated urls and captions go through languages, conditions and
`dedupe`, which gives the passes that are short beside fetching enough to do (needs numpy and pyarrow). Rounds alternate; the table has the median of each pass's seconds, as the program itself reports
them, and the whole run's. BINARY has to be built with `--features trommel/cluster`.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RECIPE = """
[job]
name    = "cluster"
output  = {output}
contact = "https://example.org/bot"

[source]
wat = [{wat}]

[network]
allow_net      = ["127.0.0.0/8"]
resolve        = ["*.miniweb.test=127.0.0.1"]
per_host_delay = 0.0
per_host_concurrency = 64

[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 1 and not has_pii(text)"

[[stage]]
use   = "dedupe"
by    = ["url"]

[[stage]]
use        = "fetch"
image_size = 256
number_sample_per_shard = 250

[[stage]]
use   = "score"
model = "miniweb-clip"

[[stage]]
use    = "write"
format = "webdataset"
"""

ROWS_RECIPE = """
[job]
name   = "cluster"
output = {output}

[source]
urls = [{lists}]
caption_col = "caption"

[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 3 and not has_pii(text)"

[[stage]]
use = "dedupe"
by  = ["url", "text"]

[[stage]]
use   = "keep"
where = "chars(text) < 60"

[[stage]]
use    = "write"
format = "parquet"
"""

WORDS = [
    "a red bird over the old harbour of our town in the morning".split(),
    "ein kleiner hund schläft auf der warmen decke neben dem fenster".split(),
    "une petite maison blanche près de la rivière sous le soleil".split(),
    "un gato negro duerme sobre la mesa de madera en la cocina".split(),
]

TIME = re.compile(r"^(\S+)  .*  in (?:(\d+)m)?([\d.]+)s$")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_lists(folder, rows, files=16):
    """Tables of urls and captions, a fifth of the rows a second time."""
    import numpy
    import pyarrow
    import pyarrow.parquet as parquet

    folder.mkdir()
    random = numpy.random.default_rng(0)
    for file in range(files):
        count = rows // files
        numbers = numpy.where(random.random(count) < 0.2, random.integers(0, rows, count), numpy.arange(count) + file * count)
        captions = []
        for number in numbers.tolist():
            words = WORDS[number % len(WORDS)]
            first = number // len(WORDS) % 4
            captions.append(" ".join([*words[first : first + 2 + number % 9], str(number % 977)]))
        table = pyarrow.table({"url": [f"https://h{number % 5003}.example.org/{number}.jpg" for number in numbers.tolist()], "caption": captions})
        parquet.write_table(table, folder / f"{file:05d}.parquet", compression="zstd")


def passes(text):
    found = {}
    for line in text.splitlines():
        match = TIME.match(line)
        if match:
            found[match[1]] = 60 * int(match[2] or 0) + float(match[3])
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--pages", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cluster-bench-"))
    processes = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TROMMEL_")}

    def start(*words):
        process = subprocess.Popen([args.binary, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        return process

    try:
        if args.rows:
            write_lists(folder / "lists", args.rows)
            text = ROWS_RECIPE.replace("{lists}", json.dumps(str(folder / "lists" / "*.parquet")))
        else:
            web = start("miniweb", "--pages", args.pages, "--hostile", 0, "--slow", 0, "--write", folder / "crawl", "--wats", 16)
            web.stdout.readline()
            text = RECIPE.replace("{wat}", json.dumps(str(folder / "crawl" / "*.wat.gz")))
        scheduler = start("scheduler", "--bind", "127.0.0.1:0", "--external-host", "127.0.0.1")
        address = scheduler.stderr.readline().split()[-1]
        for number in range(2):
            executor = start("executor", "--scheduler", address, "--slots", 1, "--threads", 1, "--port", free_port(), "--work-dir", folder / f"work-{number}")
            executor.stderr.readline()
        kinds = {"local": ["--threads", "2"], "cluster": ["--threads", "2", "--engine", address]}
        seconds = {kind: {} for kind in kinds}
        prints = {}
        for turn in range(args.rounds):
            for kind, words in kinds.items():
                output = folder / "out"
                recipe = folder / "recipe.toml"
                recipe.write_text(text.replace("{output}", json.dumps(str(output))))
                began = time.monotonic()
                done = subprocess.run([args.binary, "run", recipe, *words], capture_output=True, text=True, env=environment, check=False)
                if done.returncode:
                    sys.exit(f"{kind}: {done.stderr}")
                for name, value in {**passes(done.stderr), "whole run": time.monotonic() - began}.items():
                    seconds[kind].setdefault(name, []).append(value)
                prints.setdefault(kind, sorted(path.name for path in output.iterdir()))
                shutil.rmtree(output)
        assert prints["local"] == prints["cluster"], "other files"
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {args.rounds} rounds\n")
        print("| pass | local, s | two executors, s | ratio |\n|---|---:|---:|---:|")
        for name, values in seconds["local"].items():
            ours, theirs = statistics.median(values), statistics.median(seconds["cluster"][name])
            print(f"| {name} | {ours:.1f} | {theirs:.1f} | {theirs / max(ours, 0.05):.2f} |")
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

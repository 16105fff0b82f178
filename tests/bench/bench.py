"""Measures extraction, fetching, language, dedupe and memory: ours, the peer and the limit in the same run.

Every figure is work per second of this run on this machine; what is worth quoting is the ratio in the same row.
Only the standard library is needed; pyarrow (of the peers' python) makes the tables for dedupe.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY, DEPS = sys.argv[1], sys.argv[2]
PEER = os.environ.get("TROMMEL_PEER_PYTHON", "")
PEER = PEER if PEER and os.access(PEER, os.X_OK) else None
ONLY = set(filter(None, os.environ.get("BENCH_ONLY", "").split(",")))
ROOT = tempfile.mkdtemp(prefix="trommel-bench-")


def say(text):
    print(text, flush=True)


def wanted(name):
    return not ONLY or name in ONLY


def measure(command, cores=None):
    """Wall seconds, CPU seconds and peak RSS (MiB) of a command that must succeed."""
    if cores:
        command = ["taskset", "-c", cores] + command
    log = open(os.path.join(ROOT, "log"), "w+")
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    log.seek(0)
    text = log.read()
    if status != 0:
        say(text[-3000:])
        raise SystemExit(f"failed with {status}: {' '.join(command)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def bench_program(name):
    """The newest bench executable of that name."""
    found = [path for path in glob.glob(os.path.join(DEPS, f"{name}-*")) if re.fullmatch(rf"{name}-[0-9a-f]{{16}}", os.path.basename(path))]
    return max(found, key=os.path.getmtime) if found else None


def own_program(name, title):
    program = bench_program(name)
    say(f"\n### {title}\n")
    if not program:
        say(f"SKIPPED: the bench program `{name}` is not built (cargo build --release --workspace --benches)")
        return
    say("```")
    _, _, _, text = measure([program], cores="0")
    say(text.strip())
    say("```")


def extract():
    own_program("extract", "Extract from WAT: one core, MB of raw WAT per second")


SERVER = None


def serve(urls):
    global SERVER
    folder = os.path.join(ROOT, "web")
    SERVER = subprocess.Popen([BINARY, "miniweb", "--pages", "64", "--hostile", "0", "--slow", "0", "--wats", "0",
                               "--bench-urls", str(urls), "--write", folder], stdout=subprocess.PIPE, text=True)
    SERVER.stdout.readline()
    return folder


NET = ["--contact", "https://example.org/bot", "--allow-net", "127.0.0.0/8", "--net", "resolve=*.miniweb.test=127.0.0.1",
       "--net", "ports=", "--net", "per_host_delay=0", "--per-host-concurrency", "8"]


def images(folder):
    return sum(json.load(open(path))["successes"] for path in glob.glob(os.path.join(folder, "*_stats.json")))


def peer_fetch(source, side, count):
    """img2dataset, with its names resolved to loopback inside its own process."""
    out = os.path.join(ROOT, f"peer-{side}")
    shutil.rmtree(out, ignore_errors=True)
    small = os.path.join(ROOT, f"peer-{side}.tsv")
    with open(source) as lines, open(small, "w") as target:
        for number, line in enumerate(lines):
            if number > count:
                break
            target.write(line)
    script = os.path.join(ROOT, "peer.py")
    with open(script, "w") as target:
        target.write(f"""
import os
os.environ["WANDB_MODE"] = "disabled"
from img2dataset import download
if __name__ == "__main__":
    download(url_list={small!r}, input_format="tsv", url_col="url", caption_col="caption", output_folder={out!r}, output_format="webdataset",
             image_size=256, processes_count=2, thread_count=64, number_sample_per_shard={max(count // 4, 1)}, disallowed_header_directives=[])
""")
    # Its workers are processes of their own: names are resolved in each by this module, which Python loads first.
    with open(os.path.join(ROOT, "sitecustomize.py"), "w") as target:
        target.write("""
import socket
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if str(host).endswith(".miniweb.test") else host, *rest, **more)
""")
    os.environ["PYTHONPATH"] = ROOT
    try:
        wall, _, _, _ = measure([PEER, script])
    finally:
        del os.environ["PYTHONPATH"]
    return images(out) / wall


def fetch():
    count = int(os.environ.get("BENCH_IMAGES", "12000"))
    folder = serve(count)
    rows, folders = [], []
    try:
        for side in (640, 1024):
            source = os.path.join(folder, f"bench{side}.tsv")
            out = os.path.join(ROOT, f"ours-{side}")
            command = [BINARY, "fetch", source, "-o", out, "--caption-col", "caption", "--image-size", "256", "-q"] + NET
            best = [0, 0, 0, 0]
            # Ours and the peer take turns; the machine is noisy, so the best round of each counts.
            for _ in range(int(os.environ.get("BENCH_ROUNDS", "3"))):
                shutil.rmtree(out, ignore_errors=True)
                wall, cpu, rss, _ = measure(command)
                peer = peer_fetch(source, side, count) if PEER else 0
                best = [max(pair) for pair in zip(best, [images(out) / wall, peer, images(out) / cpu, rss])]
            rows.append((side, *best))
            folders.append(download(source, side))
    finally:
        SERVER.terminate()
    limits = limit(folders)
    say("\n### Fetch: loopback server on the same two cores, to 256 px (border), images per second, best round of each\n")
    say("Wall rates share the two cores with the server. The share of the limit is per CPU second of the program itself, against decode +")
    say("resize + encode alone on the same pictures, both cores busy.\n")
    say("| px | ours | img2dataset | ratio | ours per CPU second | limit per CPU second | share | peak RSS MiB |\n|---|---|---|---|---|---|---|---|")
    for side, ours, peer, per_cpu, rss in rows:
        against = f"{peer:.0f} | {ours / peer:.1f}" if peer else "not run | "
        most = limits.get(side)
        share = f"{most:.0f} | {per_cpu / most:.0%}" if most else "not run | "
        say(f"| {side} | {ours:.0f} | {against} | {per_cpu:.0f} | {share} | {rss:.0f} |")


def download(source, side):
    """Some of the pictures that are served, for measuring the limit on the very same bytes."""
    folder = os.path.join(ROOT, str(side))
    os.makedirs(folder)
    for number, line in enumerate(open(source).readlines()[1:65]):
        url = line.split("\t")[0]
        host, rest = re.match(r"http://([^/]+)(/.*)", url).groups()
        request = urllib.request.Request(f"http://127.0.0.1:{host.split(':')[1]}{rest}", headers={"Host": host})
        with urllib.request.urlopen(request) as answer, open(os.path.join(folder, f"{number}.jpg"), "wb") as target:
            target.write(answer.read())
    return folder


def limit(folders):
    """Decode + resize + encode alone on the same pictures, a process on each core at the same time: images per CPU second."""
    program = bench_program("image")
    if not program:
        say("SKIPPED: the bench program `image` is not built")
        return {}
    own = {**os.environ, "BENCH_PICTURES": ",".join(folders), "TROMMEL_PEER_PYTHON": ""}
    running = [subprocess.Popen(["taskset", "-c", str(core), program], stdout=subprocess.PIPE, text=True, env=own) for core in range(2)]
    found = {}
    for process in running:
        for line in process.communicate()[0].splitlines():
            words = line.split()
            if len(words) > 3 and words[1] == "border":
                found.setdefault(int(words[0]), []).append(float(words[3]))
    return {side: sum(rates) / len(rates) for side, rates in found.items()}


def table(path, rows, duplicates):
    script = f"""
import pyarrow as pa, pyarrow.parquet as pq, random
random.seed(0)
n, step = {rows}, 500_000
schema = pa.schema([("url", pa.string()), ("caption", pa.string())])
with pq.ParquetWriter({path!r}, schema) as out:
    for first in range(0, n, step):
        ids = [random.randrange(int(n * {1 - duplicates})) for _ in range(min(step, n - first))]
        out.write_table(pa.table({{"url": [f"https://host{{i % 99991}}.example.org/pictures/{{i}}.jpg" for i in ids],
                                   "caption": [f"a picture of thing number {{i}} in a row" for i in ids]}}, schema=schema))
"""
    subprocess.run([PEER, "-c", script], check=True)


RECIPE = """
[job]
output = "{out}"
[source]
urls = ["{source}"]
caption_col = "caption"
[[stage]]
use = "dedupe"
by = ["url", "text"]
[[stage]]
use = "write"
format = "parquet"
"""


def dedupe():
    say("\n### Exact dedupe by url and text, two cores, from and to parquet\n")
    if not PEER:
        say("SKIPPED: making the tables needs pyarrow")
        return
    say("| rows | seconds | rows per second | peak RSS MiB | duplicates found |\n|---|---|---|---|---|")
    for rows in (int(text) for text in os.environ.get("BENCH_ROWS", "2000000,20000000").split(",")):
        source, out, recipe = (os.path.join(ROOT, f"{name}-{rows}") for name in ("rows.parquet", "deduped", "recipe"))
        source += ".parquet"
        table(source, rows, 0.3)
        with open(recipe + ".toml", "w") as target:
            target.write(RECIPE.format(out=out, source=source))
        wall, _, rss, text = measure([BINARY, "run", recipe + ".toml", "--json", "-q"])
        funnel = json.loads(text)["funnel"]
        say(f"| {rows:,} | {wall:.1f} | {rows / wall:,.0f} | {rss:.0f} | {funnel['rows'] - funnel['kept']:,} |")
        shutil.rmtree(out)
        os.remove(source)


def memory():
    """Peak memory of a run of many urls: they fail at once (404), so that the run is about urls, not pictures."""
    count = int(os.environ.get("BENCH_URLS", "1000000"))
    folder = serve(10)
    rows = []
    try:
        port = re.search(r":(\d+)/", open(os.path.join(folder, "bench640.tsv")).readlines()[1]).group(1)
        for some in (count // 10, count):
            source, out = os.path.join(ROOT, f"many-{some}.txt"), os.path.join(ROOT, f"many-{some}")
            with open(source, "w") as target:
                for k in range(some):
                    target.write(f"http://h{k % 24:03d}.miniweb.test:{port}/missing/{k}.jpg\n")
            wall, _, rss, _ = measure([BINARY, "fetch", source, "-o", out, "-q"] + NET[:-1] + ["32"])
            rows.append((some, wall, rss))
            shutil.rmtree(out)
    finally:
        SERVER.terminate()
    say("\n### Memory of a run over many urls (all answered 404)\n")
    say("| urls | seconds | urls per second | peak RSS MiB |\n|---|---|---|---|")
    for some, wall, rss in rows:
        say(f"| {some:,} | {wall:.0f} | {some / wall:.0f} | {rss:.0f} |")


try:
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, commit " + subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip())
    if wanted("extract"):
        extract()
    if wanted("fetch"):
        fetch()
    if wanted("language"):
        own_program("language", "Language: captions per second, one core")
    if wanted("dedupe"):
        dedupe()
    if wanted("memory"):
        memory()
finally:
    shutil.rmtree(ROOT, ignore_errors=True)

"""Exact dedupe of large tables by url and text: `trommel run`, DuckDB and, up to a size, Spark as cc2dataset uses it.

    python3 tests/bench/dedupe_scale.py TROMMEL FOLDER [--rows 10000000,20000000,100000000] [--only ours,duckdb,spark]

For each size a table of rows `uid` (32 hexadecimal characters), `url` (`https://h/` and the 16 of a hash) and `caption` (the
16 of another hash) is made in FOLDER, about 30 % of them duplicates. A url alone stands for two rows that are not
duplicates, and so does a text alone. Each program reads the same files and writes one row of each (url, text) to parquet, on
two threads, one program after the other; a size that is named twice is run twice. What comes out is held against what the
generator knows: the number of rows, a sum over their keys and, where the winner is not left to chance, a sum over the rows
kept. Ours keeps the first in input order, which is the lowest uid here; DuckDB is asked for the lowest uid; Spark's
`dropDuplicates` keeps any.

The whole process tree is looked at in /proc four times a second. RSS is the highest sum over the tree, or the kernel's own
peak (VmHWM) of one process if that is higher; disk is the most that input, output and temporary files took together. *Cores of
others* is what the rest of the machine used meanwhile, in cores: on a machine that is not idle, CPU seconds say more than
seconds. Everything is removed after each step, and a program is stopped when less than --least-free-gb would be left. A csv
beside each run has memory and disk over time. Needs pyarrow, numpy, duckdb and pyspark (with a Java).
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy
import pyarrow
import pyarrow.dataset
import pyarrow.parquet as parquet

FILE_ROWS = 4_000_000
GROUP_ROWS = 500_000
THREADS = 2
# Ids are drawn from so many times the rows: 1 - (1 - exp(-x)) / x is 0.3 at x = 0.7615.
IDS_PER_ROW = 1 / 0.7615
MASK = (1 << 64) - 1
SAMPLE_S = 0.25
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
HEX = numpy.frombuffer(b"0123456789abcdef", dtype="u1")

RECIPE = """
[job]
output = "{out}"
[source]
urls = ["{source}/*.parquet"]
caption_col = "caption"
[[stage]]
use = "dedupe"
by = ["url", "text"]
[[stage]]
use = "write"
format = "parquet"
"""

# A row has nothing beside its key and its uid, so that a plain aggregate gives the whole row: DuckDB's fastest form.
DUCKDB = """
import duckdb
base = duckdb.connect()
for line in ("threads={threads}", "memory_limit='{memory}'", "temp_directory='{spill}'", "preserve_insertion_order=false"):
    base.execute("SET " + line)
base.execute("COPY (SELECT min(uid) AS uid, url, caption FROM read_parquet('{source}/*.parquet') GROUP BY url, caption)"
             " TO '{out}/rows.parquet' (FORMAT parquet)")
"""

# cc2dataset's session and its three calls. Its uid is a hash of url and text, here these are the key themselves.
SPARK = """
from pyspark.sql import SparkSession
spark = (SparkSession.builder.config("spark.driver.memory", "{memory}").config("spark.local.dir", "{spill}")
         .config("spark.ui.enabled", "false").master("local[{threads}]").appName("cc2dataset").getOrCreate())
rows = spark.read.parquet("{source}")
rows.dropDuplicates(["url", "caption"]).repartition(256).write.mode("overwrite").parquet("{out}")
spark.stop()
"""


def say(text):
    print(text, flush=True)


def mix(numbers):
    """splitmix64's finisher: a bijection of 64-bit numbers, so that different ids never share a hash."""
    numbers = numbers.astype("u8") + numpy.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> numpy.uint64(31))


def to_hex(numbers):
    """Rows of 16 hexadecimal characters."""
    bytes_ = numbers.astype(">u8").view("u1").reshape(-1, 8)
    return numpy.stack([HEX[bytes_ >> 4], HEX[bytes_ & 15]], axis=2).reshape(-1, 16)


def texts(*parts):
    """A string column of fixed-width parts side by side."""
    rows = numpy.ascontiguousarray(numpy.concatenate(parts, axis=1))
    offsets = numpy.arange(0, rows.size + 1, rows.shape[1], dtype="i4")
    return pyarrow.StringArray.from_buffers(len(rows), pyarrow.py_buffer(offsets), pyarrow.py_buffer(rows.reshape(-1)))


def from_hex(column, start):
    """The 16 hexadecimal characters from `start` on of strings that are all of one length, as numbers."""
    column = column.cast(pyarrow.string())
    data, width = column.buffers()[2], len(column[0].as_py())
    first = numpy.frombuffer(column.buffers()[1], dtype="i4")[column.offset]
    rows = numpy.frombuffer(data, dtype="u1")[first : first + len(column) * width].reshape(-1, width)[:, start : start + 16]
    digits = numpy.where(rows < 97, rows - 48, rows - 87).astype("u1")
    pairs = numpy.ascontiguousarray(digits[:, 0::2] << 4 | digits[:, 1::2])
    return pairs.view(">u8").reshape(-1).astype("u8")


def total(numbers):
    return int(numbers.sum(dtype="u8"))


def key_sum(url, text):
    return total(mix(url + numpy.uint64(3) * text))


def make(folder, rows):
    """Writes the table; what must be kept of it: rows, sum over keys, sum over the lowest uids."""
    folder.mkdir(parents=True)
    rng = numpy.random.default_rng(rows)
    ids = int(rows * IDS_PER_ROW) // 2 * 2
    seen = numpy.zeros(ids, dtype=bool)
    kept, keys, winners = 0, 0, 0
    for number, first in enumerate(range(0, rows, FILE_ROWS)):
        writer = None
        for start in range(first, min(first + FILE_ROWS, rows), GROUP_ROWS):
            count = min(GROUP_ROWS, rows - start, first + FILE_ROWS - start)
            drawn = rng.integers(0, ids, count, dtype="i8")
            # Two ids share each url, two others each text.
            url, text = mix(drawn >> 1), mix(drawn % (ids // 2) + (1 << 40))
            place = numpy.arange(start, start + count, dtype="u8")
            prefix = numpy.broadcast_to(numpy.frombuffer(b"https://h/", dtype="u1"), (count, 10))
            uid = texts(to_hex(place), to_hex(mix(place + numpy.uint64(1 << 50))))
            table = pyarrow.table({"uid": uid, "url": texts(prefix, to_hex(url)), "caption": texts(to_hex(text))})
            writer = writer or parquet.ParquetWriter(folder / f"{number:05d}.parquet", table.schema, compression="zstd", use_dictionary=False)
            writer.write_table(table)
            unique, at = numpy.unique(drawn, return_index=True)
            at = at[~seen[unique]]
            seen[unique] = True
            kept += len(at)
            keys = (keys + key_sum(url[at], text[at])) & MASK
            winners = (winners + total(mix(place[at]))) & MASK
        writer.close()
    return kept, keys, winners


def look(files, text_column):
    """The same three figures of what a program wrote."""
    kept, keys, winners = 0, 0, 0
    rows = pyarrow.dataset.dataset([str(path) for path in files], format="parquet")
    for batch in rows.to_batches(columns=["uid", "url", text_column], batch_size=1 << 17, batch_readahead=2, fragment_readahead=1):
        if len(batch) == 0:
            continue
        uid, url, text = (batch.column(name) for name in ("uid", "url", text_column))
        kept += len(batch)
        keys = (keys + key_sum(from_hex(url, 10), from_hex(text, 0))) & MASK
        winners = (winners + total(mix(from_hex(uid, 0)))) & MASK
    return kept, keys, winners


def apart(function, *arguments):
    """Calls in a process of its own, so that this one stays small beside the programs that it measures."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def size(folder):
    """Bytes on disk under a folder whose files come and go."""
    found = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.lstat(os.path.join(at, name)).st_blocks * 512
            except OSError:
                pass
    return found


class Watch(threading.Thread):
    """Looks at all processes of a session until told to stop."""

    def __init__(self, session, work, least_free, log):
        super().__init__(daemon=True)
        self.session, self.work, self.least_free, self.log = session, work, least_free, log
        self.end = threading.Event()
        self.rss = self.disk = self.spill = 0
        self.cpu = {}
        self.stopped = None

    def processes(self):
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat") as source:
                    words = source.read().rpartition(")")[2].split()
                if int(words[3]) == self.session:
                    # Not the peak that wait4 gives: it knows of the memory of the process that forked, too.
                    with open(f"/proc/{name}/status") as source:
                        peak = re.search(r"VmHWM:\s+(\d+)", source.read())
                    peak = int(peak[1]) * 1024 if peak else 0
                    yield int(name), (int(words[11]) + int(words[12])) / TICKS, int(words[21]) * PAGE, peak
            except (OSError, IndexError):
                pass

    def run(self):
        start, turn = time.monotonic(), 0
        with open(self.log, "w") as log:
            log.write("seconds,rss_mib,spill_mib,disk_mib\n")
            while not self.end.wait(SAMPLE_S):
                found = list(self.processes())
                self.cpu.update({process: cpu for process, cpu, _, _ in found})
                rss = sum(rss for _, _, rss, _ in found)
                self.rss = max([self.rss, rss] + [peak for _, _, _, peak in found])
                turn += 1
                if turn % 4 == 0:
                    spill = size(self.work / "spill")
                    disk = spill + size(self.work / "rows") + size(self.work / "out")
                    self.spill, self.disk = max(self.spill, spill), max(self.disk, disk)
                    log.write(f"{time.monotonic() - start:.2f},{rss >> 20},{spill >> 20},{disk >> 20}\n")
                    if shutil.disk_usage(self.work).free < self.least_free and not self.stopped:
                        self.stopped = "too little disk was left"
                        os.killpg(self.session, signal.SIGTERM)


def machine_cpu():
    """CPU seconds that the whole machine has spent so far, and those that its host took away."""
    with open("/proc/stat") as source:
        user, nice, system, _, _, irq, softirq, steal = (int(word) / TICKS for word in source.readline().split()[1:9])
    return user + nice + system + irq + softirq, steal


def measure(command, work, log, least_free):
    """Runs a command to its end, watched."""
    os.sync()
    busy, stolen = machine_cpu()
    with open(log.with_suffix(".out"), "w") as out, open(log.with_suffix(".err"), "w") as err:
        start = time.monotonic()
        env = {**os.environ, "TMPDIR": str(work / "spill"), "SPARK_LOCAL_IP": "127.0.0.1"}
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True, env=env)
        watch = Watch(process.pid, work, least_free, log.with_suffix(".csv"))
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        busy, stolen = (after - before for after, before in zip(machine_cpu(), (busy, stolen)))
        # A JVM outlives the python that started it by a moment.
        patience = time.monotonic() + 30
        while any(watch.processes()) and time.monotonic() < patience:
            time.sleep(SAMPLE_S)
        watch.end.set()
        watch.join()
    status = process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        say(log.with_suffix(".err").read_text()[-3000:])
        return {"failed": watch.stopped or f"status {status}", "wall": wall}
    cpu = max(usage.ru_utime + usage.ru_stime, sum(watch.cpu.values()))
    return {
        "wall": wall,
        "cpu": cpu,
        "rss": watch.rss,
        "spill": watch.spill,
        "disk": watch.disk,
        "others": max(0, busy - cpu + stolen) / wall,
    }


def command_of(program, options, work):
    rows, out, spill = work / "rows", work / "out", work / "spill"
    if program == "ours":
        recipe = work / "recipe.toml"
        recipe.write_text(RECIPE.format(out=out, source=rows))
        limits = ["--threads", str(THREADS), "--memory-mib", str(options.memory_mib), "--spill", str(spill)]
        return [options.trommel, "run", str(recipe), "--json", *limits]
    script, memory = (DUCKDB, options.duckdb_memory) if program == "duckdb" else (SPARK, options.spark_memory)
    return [sys.executable, "-c", script.format(source=rows, out=out, spill=spill, memory=memory, threads=THREADS)]


def passes(log):
    """Seconds of each pass of ours."""
    return ", ".join(f"{name} {seconds}" for name, seconds in re.findall(r"(?m)^\s*(\S+)  .* in (\S+)\s*$", log.read_text()))


def run(program, rows, truth, options, work, log):
    for name in ("out", "spill"):
        (work / name).mkdir()
    found = measure(command_of(program, options, work), work, log, options.least_free_gb * 10**9)
    if "failed" in found:
        say(f"| {rows:,} | {program} | failed after {found['wall']:.0f} s: {found['failed']} | | | | | | | |")
    else:
        made = sorted((work / "out").glob("*.parquet"))
        result = apart(look, made, "text" if program == "ours" else "caption")
        same = "the same" if result == truth else "the same keys" if result[:2] == truth[:2] else "**other rows**"
        extra = ""
        if program == "ours":
            assert json.loads(log.with_suffix(".out").read_text())["funnel"]["kept"] == result[0]
            extra = passes(log.with_suffix(".err"))
        say(
            f"| {rows:,} | {program} | {found['wall']:.1f} | {rows / found['wall']:,.0f} | {found['cpu']:.1f} | {found['rss'] / 2**20:,.0f}"
            f" | {found['spill'] / 1e9:.2f} | {found['disk'] / 1e9:.2f} | {result[0]:,} ({same}) | {found['others']:.2f} | {extra} |"
        )
    for name in ("out", "spill"):
        shutil.rmtree(work / name)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trommel")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", default="10000000,20000000,100000000")
    parser.add_argument("--only", default="ours,duckdb,spark")
    parser.add_argument("--spark-rows", type=int, default=20_000_000, help="largest table that Spark gets")
    parser.add_argument("--memory-mib", type=int, default=1024, help="ours: for sorts and shuffles")
    parser.add_argument("--duckdb-memory", default="3GB")
    parser.add_argument("--spark-memory", default="3G")
    parser.add_argument("--least-free-gb", type=float, default=3)
    options = parser.parse_args()
    work = options.folder.resolve() / "work"
    work.mkdir(parents=True)
    say(f"{os.cpu_count()} cores; ours {options.memory_mib} MiB, DuckDB {options.duckdb_memory}, Spark {options.spark_memory}\n")
    say("| rows | program | seconds | rows/s | CPU seconds | peak RSS MiB | temporary files GB | disk at the peak GB | rows kept | cores of others | passes |")
    say("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    try:
        for turn, rows in enumerate(int(text) for text in options.rows.split(",")):
            truth = apart(make, work / "rows", rows)
            say(f"| {rows:,} | input | | | | | | {size(work / 'rows') / 1e9:.2f} | {truth[0]:,} | | |")
            for program in options.only.split(","):
                if program != "spark" or rows <= options.spark_rows:
                    run(program, rows, truth, options, work, options.folder.resolve() / f"{turn}-{rows}-{program}")
            shutil.rmtree(work / "rows")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A pass of many units on a cluster: what scheduler and client hold.

    python3 tests/bench/units_scale.py TROMMEL FOLDER [--units 100000] [--executors 2]

Makes a list of one url for each unit, and runs a recipe that reads and judges them on a cluster of real processes on
loopback (TROMMEL built with `--features cluster`). Nothing is fetched: what is measured is the bookkeeping. Printed: the
most memory that each process has held, as the kernel counts it (VmHWM), and seconds.
"""

import argparse
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

RECIPE = """
[job]
name   = "units"
output = {output}

[source]
urls = [{lists}]

[[stage]]
use   = "keep"
where = "length(url) > 8"

[[stage]]
use    = "write"
format = "parquet"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def peak_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trommel")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--executors", type=int, default=2)
    args = parser.parse_args()
    lists, output = args.folder / f"lists-{args.units}", args.folder / "out"
    if not lists.exists():
        making = lists.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for unit in range(args.units):
            (making / f"{unit:07}.jsonl").write_text(f'{{"url": "https://host{unit % 997}.example.org/{unit}.jpg", "text": "picture {unit}"}}\n')
        making.rename(lists)
    shutil.rmtree(output, ignore_errors=True)
    recipe = args.folder / "units.toml"
    recipe.write_text(RECIPE.format(output=json.dumps(str(output)), lists=json.dumps(str(lists / "*.jsonl"))))
    processes = []

    def start(*words):
        process = subprocess.Popen([args.trommel, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    try:
        scheduler = start("scheduler", "--bind", "127.0.0.1:0", "--external-host", "127.0.0.1")
        address = scheduler.stderr.readline().split()[-1]
        for number in range(args.executors):
            executor = start("executor", "--scheduler", address, "--slots", 1, "--threads", 1, "--port", free_port(), "--work-dir", args.folder / f"work-{number}")
            executor.stderr.readline()
        began = time.monotonic()
        client = subprocess.Popen([args.trommel, "run", str(recipe), "--engine", address, "--json"], stdout=subprocess.PIPE, text=True)
        peaks = {}
        while client.poll() is None:
            # The peak is gone with the process: the last look counts.
            try:
                peaks = {"client": peak_mib(client), "scheduler": peak_mib(scheduler), "executor": max(peak_mib(process) for process in processes[1:])}
            except FileNotFoundError:
                break
            time.sleep(0.2)
        report = json.loads(client.stdout.read())
        if client.wait() != 0:
            sys.exit(json.dumps(report))
        seconds = time.monotonic() - began
        print(f"{args.units} units in {seconds:.0f} s, {report['funnel']['kept']} rows kept: " + ", ".join(f"{name} {mib} MiB" for name, mib in peaks.items()))
    finally:
        for process in processes:
            process.kill()


if __name__ == "__main__":
    main()

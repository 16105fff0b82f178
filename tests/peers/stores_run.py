#!/usr/bin/env python3
"""The whole program on object stores that others wrote: every verb reads from S3 and Azure and writes to them, through a
proxy that loses, delays and refuses requests, and gives what it gives on a disk.

    python stores_run.py BINARY [--azurite DIR] [--faults 0.05] [--seed 0]

Starts a miniature web, moto and (where it is installed) Azurite; see stores_check.py for what they need. Exits with 77
when moto or boto3 is missing.
"""

import argparse
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    import azure.storage.blob  # noqa: F401
    import boto3  # noqa: F401
    import moto  # noqa: F401
    from pyarrow import parquet

    import stores_check as stores
except ImportError as error:
    print(f"SKIPPED: {error.name} is not installed (pip install 'moto[server]' boto3 azure-storage-blob pyarrow)", file=sys.stderr)
    sys.exit(77)

RECIPE = """
[job]
name    = "stores"
output  = {output}
contact = "https://example.org/bot"

[source]
wat = [{wat}]

[network]
allow_net      = ["127.0.0.0/8"]
resolve        = ["*.miniweb.test=127.0.0.1"]
per_host_delay = 0.0
total_timeout  = 5.0

[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 1"

[[stage]]
use = "dedupe"
by  = ["url"]

[[stage]]
use        = "fetch"
image_size = 96
number_sample_per_shard = 20

[[stage]]
use    = "hash"
hashes = ["pdq", "near"]

[[stage]]
use   = "score"
model = "miniweb-clip"

[[stage]]
use = "keep"
top = 0.7
by  = "miniweb_clip"

[[stage]]
use    = "write"
format = "webdataset"
"""


class Proxy(ThreadingHTTPServer):
    """Passes requests on, and some of them not: refused (429, 500, 503), cut before the answer, cut in its middle."""

    daemon_threads = True

    def __init__(self, target, share, seed):
        self.target, self.share, self.random, self.lock = target, share, random.Random(seed), threading.Lock()
        self.faults, self.requests = {}, 0
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def draw(self):
        with self.lock:
            self.requests += 1
            if self.random.random() >= self.share:
                return None
            fault = self.random.choice(["429", "500", "503", "lost", "cut", "unanswered"])
            self.faults[fault] = self.faults.get(fault, 0) + 1
            return fault


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def go(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.draw()
        if fault in ("429", "500", "503"):
            text = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"
            self.send_response(int(fault))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)
            return
        if fault == "lost":
            self.close_connection = True
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        if fault == "unanswered":
            # The store has done it; nobody hears so.
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        told = False
        for name, value in answer.getheaders():
            if name.lower() in ("transfer-encoding", "connection"):
                continue
            told |= name.lower() == "content-length"
            self.send_header(name, value)
        if not told:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = go


def upload(scheme, variables, folder, prefix):
    for path in sorted(pathlib.Path(folder).iterdir()):
        if scheme == "s3":
            stores.client(variables["AWS_ENDPOINT_URL"]).upload_file(str(path), stores.NAME, f"{prefix}/{path.name}")
        else:
            container(variables).upload_blob(f"{prefix}/{path.name}", path.read_bytes())


def container(variables):
    from azure.storage.blob import ContainerClient

    return ContainerClient.from_connection_string(f"DefaultEndpointsProtocol=http;{variables['AZURE_STORAGE_CONNECTION_STRING']}", stores.NAME)


def download(scheme, variables, prefix, folder):
    def put(name, content):
        path = folder / name.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    if scheme == "s3":
        client = stores.client(variables["AWS_ENDPOINT_URL"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=stores.NAME, Prefix=prefix):
            for entry in page.get("Contents", []):
                put(entry["Key"], client.get_object(Bucket=stores.NAME, Key=entry["Key"])["Body"].read())
    else:
        for entry in container(variables).list_blobs(name_starts_with=prefix):
            put(entry.name, container(variables).download_blob(entry.name).readall())


def digests(folder):
    """Files to the byte, but for the ledger and reports, which hold times, and those that are named after their input's path."""
    files = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and "_trommel/" not in name and not name.endswith(".report.json") and not name.startswith("candidates-of-store/"):
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def candidates(folder):
    """The rows that were extracted from archives in the store, whatever their files are called."""
    columns = ["uid", "url", "text"]
    tables = [parquet.read_table(path, columns=columns) for path in sorted((folder / "candidates-of-store").glob("*.parquet"))]
    return sorted(tuple(row[column] for column in columns) for table in tables for row in table.to_pylist())


class Run:
    def __init__(self, binary, variables):
        self.binary, self.variables = binary, variables

    def __call__(self, *arguments, code=0):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TROMMEL_", "AWS_", "AZURE_"))}
        done = subprocess.run([self.binary, *map(str, arguments)], env={**kept, **self.variables}, capture_output=True, text=True, check=False)
        if done.returncode != code:
            sys.exit(f"trommel {' '.join(map(str, arguments))}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout


def everything(trommel, base, crawl, here, scratch):
    """Every verb, below a folder or a url. What the verbs print, and where the outputs are. The recipe reads the crawl `here`:
    what comes from it is named after its path."""
    job, said = f"{base}/job", {}
    recipe = scratch / "recipe.toml"
    recipe.write_text(RECIPE.format(output=json.dumps(job), wat=json.dumps(f"{here}/*.wat.gz")))
    trommel("run", recipe, "-q")
    again = json.loads(trommel("run", recipe, "-q", "--json"))
    assert again["units_done"] == 0, again
    trommel("extract", f"{here}/*.wat.gz", "-o", f"{base}/candidates", "-q")
    # The archives are read from the store too; files are named after them, rows are the same.
    trommel("extract", f"{crawl}/*.wat.gz", "-o", f"{base}/candidates-of-store", "-q")
    trommel("embed", job, "-o", f"{base}/embedded", "--model", "miniweb-clip", "-q")
    trommel("hash", job, "-o", f"{base}/hashed", "-q")
    trommel("select", f"{base}/embedded", "-o", f"{base}/subset.npy", "--by", "miniweb_clip", "--top", "0.5", "-q")
    trommel("reshard", job, "-s", f"{base}/subset.npy", "-o", f"{base}/final", "--shard-size", "15", "-q")
    # An index is mapped into memory: it lies on this machine.
    trommel("index", f"{base}/embedded", "-o", scratch / "index", "--key", "miniweb_clip_img", "-q")
    said["search"] = trommel("search", scratch / "index", "--text", "a red circle", "--model", "miniweb-clip", "--json")
    said["candidates"] = json.loads(trommel("stats", f"{base}/candidates", "--json"))["funnel"]
    said["stats"] = json.loads(trommel("stats", job, "--json"))["funnel"]
    said["status"] = [one["rows"] for one in json.loads(trommel("status", job, "--json"))["passes"]]
    trommel("validate", job)
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--azurite")
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stores-run-"))
    processes = []
    try:
        web = subprocess.Popen([args.binary, "miniweb", "--pages", "60", "--hostile", "0", "--slow", "0", "--write", folder / "crawl"], stdout=subprocess.PIPE, text=True)
        processes.append(web)
        print("miniature web:", web.stdout.readline().strip(), flush=True)
        disk = folder / "disk"
        (folder / "scratch").mkdir()
        plain = Run(args.binary, {})
        expected = everything(plain, disk, folder / "crawl", folder / "crawl", folder / "scratch")
        print("on a disk:", len(digests(disk)), "files", flush=True)
        # The emulators, each behind a proxy.
        helper = subprocess.Popen(
            [sys.executable, stores.__file__, *(["--azurite", args.azurite] if args.azurite else [])], stdout=subprocess.PIPE, text=True
        )
        processes.append(helper)
        variables = {}
        while "AZURE_STORAGE_CONNECTION_STRING" not in variables if args.azurite else "AWS_REGION" not in variables:
            line = helper.stdout.readline()
            if not line:
                sys.exit("the emulators did not start")
            name, value = line.strip().split("=", 1)
            variables[name] = value
        kinds = [("s3", "AWS_ENDPOINT_URL")] + ([("az", "AZURE_STORAGE_CONNECTION_STRING")] if args.azurite else [])
        failed = False
        for scheme, variable in kinds:
            port = int(variables[variable].split("127.0.0.1:")[1].split("/")[0])
            proxy = Proxy(port, args.faults, args.seed)
            through = {**variables, variable: variables[variable].replace(f"127.0.0.1:{port}", f"127.0.0.1:{proxy.server_address[1]}")}
            # What a lost request costs is shown, not waited for.
            through.update(TROMMEL_STORE_TIMEOUT_SECONDS="20", TROMMEL_STORE_RETRY_SECONDS="120", TROMMEL_STORE_RETRIES="30")
            remote = Run(args.binary, through)
            base = f"{scheme}://{stores.NAME}/all"
            scratch = folder / f"scratch-{scheme}"
            scratch.mkdir()
            # The crawl goes up as it is: the archives are read from the store too.
            upload(scheme, variables, folder / "crawl", "all/crawl")
            said = everything(remote, base, f"{base}/crawl", folder / "crawl", scratch)
            copy = folder / f"copy-{scheme}"
            download(scheme, variables, "all/", copy)
            shutil.rmtree(copy / "crawl")
            ours, theirs = digests(copy), digests(disk)
            names = {name: (ours.get(name), theirs.get(name)) for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
            print(f"{scheme}: {proxy.requests} requests, faults {proxy.faults}, {len(ours)} files, {len(names)} differ", flush=True)
            for name in sorted(names)[:20]:
                print("   ", name, file=sys.stderr)
            different = [what for what in expected if said[what] != expected[what]]
            if candidates(copy) != candidates(disk) or not candidates(disk):
                different.append("candidates of the store's archives")
            if different:
                print(f"{scheme}: other answers of {different}", file=sys.stderr)
                failed = True
            failed |= bool(names)
        return int(failed)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Object stores that others wrote, on loopback, for the program and its tests to be run against.

    python stores_check.py [--azurite DIR] [-- COMMAND ...]

Starts moto (S3; `pip install 'moto[server]' boto3`) and, where it is installed, Azurite (Azure Blob; `npm install azurite`
into DIR), makes a bucket and a container named `trommel`, and prints one `NAME=VALUE` line for each variable to set. With
a command, runs it with these variables set, then looks at what is left in both stores: any multipart upload that is still
open fails the check. Without one, stays until it is interrupted.
"""

import argparse
import base64
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from email.utils import formatdate

import boto3
from botocore.config import Config

NAME = "trommel"
# The account that every Azurite has; from Microsoft's documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, name):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"{name} does not answer")


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(s3={"addressing_style": "path"}),
    )


def make_container(port):
    """One signed request, so that no Azure library is needed (Shared Key, version 2021-08-06)."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    path = f"/{ACCOUNT}/{NAME}"
    text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}{path}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}?restype=container",
        method="PUT",
        headers={"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201, answer.status


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--azurite", metavar="DIR", help="folder into which azurite was installed")
    parser.add_argument("command", nargs="*")
    args = parser.parse_args()
    processes, variables = [], {}
    folder = tempfile.mkdtemp(prefix="stores-")
    try:
        port = free_port()
        with open(os.path.join(folder, "moto.log"), "wb") as log:
            moto = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
            )
        processes.append(moto)
        wait_for(port, moto, "moto")
        endpoint = f"http://127.0.0.1:{port}"
        s3 = client(endpoint)
        s3.create_bucket(Bucket=NAME)
        variables.update(
            TROMMEL_S3_ENDPOINT=endpoint,
            AWS_ENDPOINT_URL=endpoint,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_REGION="us-east-1",
        )

        azurite = args.azurite and os.path.join(args.azurite, "node_modules", ".bin", "azurite-blob")
        if azurite and os.path.exists(azurite):
            port = free_port()
            with open(os.path.join(folder, "azurite.log"), "wb") as log:
                process = subprocess.Popen(
                    [azurite, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder],
                    stdout=log,
                    stderr=log,
                )
            processes.append(process)
            wait_for(port, process, "azurite")
            make_container(port)
            endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
            variables.update(
                TROMMEL_AZURE_ENDPOINT=endpoint,
                AZURE_STORAGE_CONNECTION_STRING=f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint}",
            )
        else:
            print("SKIPPED: azurite is not installed, give its folder with --azurite", file=sys.stderr)

        for name, value in variables.items():
            print(f"{name}={value}", flush=True)
        if not args.command:
            print("ready; ends with an interrupt", file=sys.stderr)
            for process in processes:
                process.wait()
            return 0
        status = subprocess.run(args.command, env={**os.environ, **variables}, check=False).returncode
        uploads = s3.list_multipart_uploads(Bucket=NAME).get("Uploads", [])
        objects = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=NAME) for entry in page.get("Contents", [])]
        print(f"s3: {len(objects)} objects, {len(uploads)} open uploads")
        for upload in uploads:
            print(f"open upload: {upload['Key']}", file=sys.stderr)
        return status or bool(uploads)
    except KeyboardInterrupt:
        return 0
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

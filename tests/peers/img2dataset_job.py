"""Runs img2dataset as it is, once for each job of a JSON list on standard input: one start for many runs."""

import contextlib
import json
import sys

import peer

peer.enter("img2dataset")

from img2dataset import download

if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        for job in json.load(sys.stdin):
            download(processes_count=1, thread_count=16, retries=0, timeout=5, **job)

"""Recall by kind and precision of PDQ, pHash and the near-copy signature on pictures with known near-copies.

    python tests/peers/near_pictures.py FOLDER
    python tests/bench/hashes_near.py BENCH_PROGRAM FOLDER

BENCH_PROGRAM is the compiled `filters/benches/hashes.rs`. Needs pillow.
"""

import csv
import pathlib
import struct
import subprocess
import sys

from PIL import Image

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
truth = folder / "truth.csv"
with subprocess.Popen([program, "near", str(truth)], stdin=subprocess.PIPE) as bench, open(truth, newline="") as table:
    for row in csv.DictReader(table):
        with Image.open(folder / row["file"]) as image:
            grey = image.convert("L")
        bench.stdin.write(struct.pack("<3I", 1, *grey.size) + grey.tobytes())
    bench.stdin.close()
sys.exit(bench.returncode)

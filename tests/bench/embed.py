"""Models: the towers against PyTorch and the limit, then `trommel embed` over stored shards and the time outside the model.

The checkpoints have real sizes and random weights: speed does not depend on their values. Figures of one row are of one run.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BINARY, DEPS = sys.argv[1], sys.argv[2]
PEER = os.environ["TROMMEL_PEER_PYTHON"]
ROOT = os.environ.get("BENCH_MODELS") or tempfile.mkdtemp(prefix="trommel-bench-")
COUNT = int(os.environ.get("BENCH_IMAGES", "256"))

PICTURES = """
import io, json, sys, tarfile
import numpy as np
from PIL import Image
random = np.random.default_rng(0)
with tarfile.open(sys.argv[1], "w", format=tarfile.USTAR_FORMAT) as tar:
    for number in range(int(sys.argv[2])):
        small = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((512, 384), Image.BICUBIC)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        for ending, content in (("jpg", data.getvalue()), ("txt", f"a picture with the number {number}".encode())):
            info = tarfile.TarInfo(f"{number:06d}.{ending}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
"""


def main():
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, commit "
          + subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(), flush=True)
    found = [path for path in glob.glob(os.path.join(DEPS, "tower_speed-*")) if re.fullmatch(r"tower_speed-[0-9a-f]{16}", os.path.basename(path))]
    if not os.path.isdir(os.path.join(ROOT, "clip_b32")):
        subprocess.run([PEER, "tests/models/make_checkpoints.py", ROOT, "--big", "clip_b32", "siglip_b16"], check=True)
    folders = sorted(path for path in glob.glob(os.path.join(ROOT, "*")) if os.path.isfile(os.path.join(path, "config.json")))
    print("\n### Towers\n", flush=True)
    subprocess.run([max(found, key=os.path.getmtime), "--rounds", os.environ.get("BENCH_ROUNDS", "5")] + folders, check=True)
    shards = os.path.join(ROOT, "shards")
    os.makedirs(shards, exist_ok=True)
    subprocess.run([PEER, "-c", PICTURES, os.path.join(shards, "00000.tar"), str(COUNT)], check=True)
    print("\n### `trommel embed` over a stored shard: 512 x 384 JPEGs with captions\n")
    print("| model | pictures/s | device busy | outside the model | decoding, CPU seconds | batches full |\n|---|---|---|---|---|---|", flush=True)
    for folder in folders:
        if not os.path.isfile(os.path.join(folder, "tokenizer.json")):
            config = json.load(open(os.path.join(folder, "config.json")))
            if config.get("model_type") != "clip":
                print(f"| {os.path.basename(folder)} | not run: there is no tokenizer for it here | | | | |")
                continue
            # Any CLIP tokenizer whose ids fit: the small model's.
            for name in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(os.path.join("embeddings/models/miniweb-clip", name), folder)
        out = os.path.join(ROOT, "out")
        shutil.rmtree(out, ignore_errors=True)
        done = subprocess.run([BINARY, "embed", shards, "-o", out, "--model", folder, "--json", "-q"], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"| {os.path.basename(folder)} | failed: {done.stderr.strip().splitlines()[-1]} | | | | |")
            continue
        for name, metrics in json.loads(done.stdout)["models"].items():
            outside = 1 - metrics["busy_seconds"] / metrics["elapsed_seconds"]
            print(f"| {name} | {metrics['images'] / metrics['elapsed_seconds']:.1f} | {metrics['busy_share']:.0%} | {outside:.0%} | "
                  f"{metrics['decode_seconds']:.1f} | {metrics['batch_fill']:.0%} |", flush=True)
    if "BENCH_MODELS" not in os.environ:
        shutil.rmtree(ROOT, ignore_errors=True)


main()

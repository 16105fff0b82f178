"""Compares our hashes with imagehash and with Meta's PDQ (pdqhash), bit for bit and in time.

    python tests/bench/hashes_peers.py BENCH_PROGRAM [FOLDER_OF_PICTURES ...]

BENCH_PROGRAM is the compiled `filters/benches/hashes.rs`. Generated pictures of many sizes are always compared; the
pictures of the folders are added. Needs numpy, pillow, imagehash, pdqhash.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import imagehash
import numpy as np
import pdqhash
from PIL import Image


def generated(count):
    random = np.random.default_rng(20)
    for _ in range(count):
        w, h = (int(v) for v in random.integers(5, 900, 2))
        noise = np.zeros((h, w, 3))
        cells = 2
        while cells < max(w, h):
            part = random.normal(0, 1, (cells, cells, 3))
            image = [Image.fromarray(part[..., c].astype("f4")).resize((w, h), Image.BICUBIC) for c in range(3)]
            noise += np.stack(image, -1) / cells ** random.uniform(0.6, 1.2)
            cells *= 2
        noise = (noise - noise.mean()) / noise.std() * random.uniform(15, 80) + random.uniform(60, 190)
        yield np.clip(noise, 0, 255).astype(np.uint8)


def hexed(bits):
    return f"{int(''.join(map(str, bits)), 2):064x}"


def distance(a, b):
    return (int(a, 16) ^ int(b, 16)).bit_count()


def prescaled(a):
    h, w = a.shape[:2]
    if max(h, w) <= 512:
        return a
    rows, columns = (np.arange(512) * h / 512).astype(int), (np.arange(512) * w / 512).astype(int)
    return np.ascontiguousarray(a[rows][:, columns])


def main():
    program, folders = sys.argv[1], sys.argv[2:]
    arrays = list(generated(300))
    for folder in folders:
        for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix in (".jpg", ".png", ".webp")):
            try:
                arrays.append(np.asarray(Image.open(path).convert("RGB")))
            except Exception as error:
                print(f"SKIPPED {path.name}: {error}")
    with tempfile.NamedTemporaryFile() as file:
        for i, a in enumerate(arrays):
            if i % 4 == 3:
                a = arrays[i] = np.asarray(Image.fromarray(a).convert("L"))
            file.write(struct.pack("<3I", a.ndim == 2 and 1 or 3, a.shape[1], a.shape[0]) + a.tobytes())
        file.flush()
        ours = [line.split() for line in subprocess.check_output([program, "hash", file.name], text=True).splitlines()]
    assert len(ours) == len(arrays)
    names = ["ahash", "dhash", "dhash_vertical", "phash"]
    unequal = dict.fromkeys(names, 0)
    pdq = {"plain": [], "meta": [], "oriented": []}
    qualities = 0
    mirrored = 0
    for a, row in zip(arrays, ours):
        image = Image.fromarray(a)
        for name, ours_, theirs in zip(
            names,
            row[-5:],
            [imagehash.average_hash(image), imagehash.dhash(image), imagehash.dhash_vertical(image), imagehash.phash(image)],
        ):
            unequal[name] += ours_ != str(theirs)
            if ours_ != str(theirs):
                print("differs", name, a.shape, ours_, theirs)
        flipped = image.transpose(Image.FLIP_LEFT_RIGHT)
        mirrored = max(mirrored, distance(row[-1], str(imagehash.phash(flipped))))
        rgb = np.asarray(image.convert("RGB"))
        turned, quality = pdqhash.compute_dihedral(rgb)
        qualities += quality != int(row[0])
        if quality >= 80:
            pdq["plain"].append(distance(row[1], hexed(turned[0])))
            pdq["oriented"] += [distance(o, hexed(t)) for o, t in zip(row[4:12], turned)]
            bits, quality = pdqhash.compute(prescaled(rgb))
            pdq["meta"].append(distance(row[3], hexed(bits)))
            qualities += quality != int(row[2])
    print(f"{len(arrays)} pictures; unequal to imagehash: {unequal}; mirrored phash at most {mirrored} bits from the mirror's")
    for name, d in pdq.items():
        print(f"pdq {name}: quality >= 80 on {len(d)}: equal {np.mean(np.array(d) == 0):.3f}, largest distance {max(d)}")
    print(f"pdq qualities that differ: {qualities}")

    for w, h in [(512, 512), (512, 341), (1024, 768), (256, 256)]:
        a = np.random.default_rng(1).integers(0, 256, (h, w, 3), dtype=np.uint8)
        image = Image.fromarray(a)
        for name, call in [
            ("pdqhash", lambda: pdqhash.compute(a)),
            # What pdqhash spends on grey and on turning bits into an array is not Meta's.
            ("pdqhash, grey alone", lambda: (a[:, :, 0] * 0.299 + a[:, :, 1] * 0.587 + a[:, :, 2] * 0.114).astype("float32")),
            ("imagehash.phash", lambda: imagehash.phash(image)),
        ]:
            best = 1e9
            for _ in range(7):
                start = time.perf_counter()
                call()
                best = min(best, time.perf_counter() - start)
            print(f"{w}x{h} {name} {best * 1e6:.1f} us")
    print(subprocess.check_output([program], text=True), end="")


if __name__ == "__main__":
    main()

"""Writes pictures with known near-copies, as JPEG files and a table of truth.

    python tests/peers/near_pictures.py FOLDER [--pictures 20000] [--seed 0] [--processes 1] [--photos FOLDER ...]

FOLDER gets `000000.jpg`, `000001.jpg`, ... in a drawn order, and `truth.csv`: file, original (a number: files of one
number show one picture), kind. One original in two has near-copies, one of each kind; the others have none, so that
they can only be joined wrongly. Originals are photo-like: fractal noise, gradients, shapes, strokes like text. They come in
families of one composition and one palette whose members differ in detail, so that precision is put to a test.

With `--photos` every picture of these folders that opens is taken too, within 512 pixels, with all its near-copies.

Every draw is a hash of (seed, what, picture, k): a picture does not depend on how many others are made, nor on the
processes that make them. 20,000 take about three minutes of one core. Needs numpy and pillow.
"""

import argparse
import collections
import csv
import functools
import hashlib
import io
import multiprocessing
import os
import pathlib
import sys

# A process is one thread: the products of matrices here are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

KINDS = [
    "resize50", "resize75", "resize150", "squash",
    "jpeg30", "jpeg50", "jpeg70", "jpeg95",
    "crop5", "crop5_off", "crop10", "crop10_off", "crop20", "crop20_off",
    "mirror", "watermark", "text", "colour",
]  # fmt: skip


def draws(seed, what, row, k=0):
    """A generator of random numbers of its own for each thing that is drawn."""
    digest = hashlib.blake2b(f"{seed}/{what}/{row}/{k}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


@functools.lru_cache(maxsize=None)
def weights(cells, size):
    """What each of `cells` samples gives to each of `size`, when a line is resized as pillow does it."""
    return np.asarray(Image.fromarray(np.eye(cells, dtype="f4")).resize((size, cells), Image.BICUBIC)).copy()


def fractal(random, width, height, slope, first=2):
    """Noise whose amplitude falls with frequency, mean 0, deviation 1."""
    noise = np.zeros((height, width), np.float32)
    coarse, columns = [], []
    cells = first
    while cells < max(width, height):
        part = random.normal(0, 1, (cells, cells)).astype("f4") / np.float32(cells**slope)
        # Enlarging is linear and goes by lines and columns: all the coarse parts together are one product of matrices.
        if cells < 64:
            coarse.append(part @ weights(cells, width))
            columns.append(weights(cells, height))
        else:
            noise += np.asarray(Image.fromarray(part).resize((width, height), Image.BICUBIC))
        cells *= 2
    noise += np.concatenate(columns).T @ np.concatenate(coarse)
    noise -= noise.mean()
    noise /= noise.std() + 1e-6
    return noise


def strokes(draw, random, box, colour, lines):
    """Something that looks like lines of text."""
    left, top, right, bottom = box
    size = max(2, (bottom - top) / max(lines, 1))
    for line in range(lines):
        x = left
        y = top + line * size
        while x < right:
            step = size * random.uniform(0.2, 0.6)
            if random.random() < 0.8:
                y0 = y + size * random.uniform(0.1, 0.4)
                draw.line([x, y0, x + step * random.uniform(0.0, 0.8), y + size * 0.75], fill=colour, width=max(1, int(size * 0.12)))
            x += step


def original(seed, row, family_size=4):
    """A picture. Every `family_size` rows share composition and palette."""
    family = draws(seed, "family", row // family_size)
    own = draws(seed, "own", row)
    width, height = [(400, 300), (300, 400), (384, 384), (448, 256)][family.integers(4)]
    palette = family.integers(0, 256, (6, 3)).astype(np.float32)
    # Composition: a gradient and broad patches that the family shares.
    angle = family.uniform(0, 2 * np.pi)
    x = (np.arange(width) / width - 0.5) * np.cos(angle) + 0.5
    y = (np.arange(height) / height - 0.5) * np.sin(angle)
    ramp = (x[None, :] + y[:, None]).astype(np.float32)
    shared = fractal(family, width, height, 1.3)
    # Detail of its own: fractal noise, shapes, strokes.
    detail = fractal(own, width, height, own.uniform(0.4, 1.0), int(own.integers(2, 5)))
    # A product of matrices is the weighted sum of the three, a colour of each.
    colours = np.stack([palette[1] - palette[0], (palette[2] - 128) * 0.25, own.uniform(22, 45) * (0.6 + 0.4 * palette[3] / 255)])
    scene = np.stack([ramp, shared, detail], axis=-1).reshape(-1, 3) @ colours.astype(np.float32)
    scene += palette[0]
    np.clip(scene, 0, 255, out=scene)
    image = Image.fromarray(scene.astype(np.uint8).reshape(height, width, 3))
    draw = ImageDraw.Draw(image)
    shapes = int(family.integers(2, 10))
    for _ in range(shapes):
        cx, cy = own.uniform(0, width), own.uniform(0, height)
        rx, ry = own.uniform(0.03, 0.25) * width, own.uniform(0.03, 0.25) * height
        colour = tuple(int(v) for v in np.clip(palette[own.integers(6)] + own.normal(0, 25, 3), 0, 255))
        match own.integers(3):
            case 0:
                draw.ellipse([cx - rx, cy - ry, cx + rx, cy + ry], fill=colour)
            case 1:
                draw.rectangle([cx - rx, cy - ry, cx + rx, cy + ry], fill=colour)
            case _:
                corners = [(cx + own.uniform(-rx, rx), cy + own.uniform(-ry, ry)) for _ in range(3)]
                draw.polygon(corners, fill=colour)
    if family.random() < 0.3:
        top = own.uniform(0.1, 0.7) * height
        box = (0.1 * width, top, 0.9 * width, top + 0.2 * height)
        strokes(draw, own, box, tuple(int(v) for v in palette[4]), int(own.integers(1, 4)))
    return image


def near_copy(image, kind, random):
    """A copy of a kind, and the JPEG quality to write it with.

    A crop of p % takes p % of the width and of the height away: half of it on each side, or, for `_off`, drawn."""
    width, height = image.size
    quality = int(random.integers(80, 96))
    if kind.startswith("resize"):
        scale = int(kind[6:]) / 100
        image = image.resize((round(width * scale), round(height * scale)), Image.BICUBIC)
    elif kind == "squash":
        image = image.resize((256, 256), Image.BICUBIC)
    elif kind.startswith("jpeg"):
        quality = int(kind[4:])
    elif kind.startswith("crop"):
        away = int(kind[4:].removesuffix("_off")) / 100
        share = (random.random(), random.random()) if kind.endswith("_off") else (0.5, 0.5)
        left, top = away * width * share[0], away * height * share[1]
        box = [left, top, left + width * (1 - away), top + height * (1 - away)]
        image = image.crop([round(v) for v in box])
    elif kind == "mirror":
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    elif kind == "watermark":
        # Half-transparent strokes over a quarter of the picture, and a mark in a corner.
        over = image.copy()
        draw = ImageDraw.Draw(over)
        grey = int(random.integers(200, 256))
        strokes(draw, random, (0.1 * width, 0.4 * height, 0.9 * width, 0.65 * height), (grey,) * 3, 1)
        draw.rectangle([0.75 * width, 0.88 * height, 0.98 * width, 0.97 * height], fill=(grey,) * 3)
        image = Image.blend(image, over, random.uniform(0.35, 0.6))
    elif kind == "text":
        # A caption on an opaque band at the bottom or the top.
        draw = ImageDraw.Draw(image)
        top = 0.85 if random.random() < 0.5 else 0.02
        box = (0.05 * width, top * height, 0.95 * width, (top + 0.13) * height)
        band, ink = ((0, 0, 0), (255, 255, 255)) if random.random() < 0.5 else ((255, 255, 255), (0, 0, 0))
        draw.rectangle(box, fill=band)
        strokes(draw, random, box, ink, 2)
    elif kind == "colour":
        image = ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))
        image = ImageEnhance.Contrast(image).enhance(random.uniform(0.7, 1.3))
        image = ImageEnhance.Color(image).enhance(random.uniform(0.3, 1.7))
        gains = random.uniform(0.85, 1.15, 3)
        image = Image.fromarray(np.clip(np.asarray(image) * gains, 0, 255).astype(np.uint8))
    else:
        raise ValueError(f"no such kind: {kind}")
    return image, quality


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def plan(pictures, seed):
    """(original, kind) of every file, in a drawn order. Kind `original` is the picture itself."""
    rows, row = [], 0
    while len(rows) < pictures:
        rows.append((row, "original"))
        # Whole families have copies or have none: half of the pictures' neighbours are there to be mistaken.
        if row % 2 == 0:
            rows += [(row, kind) for kind in KINDS]
        else:
            # As many single pictures as there are copies, from families beyond those of the others.
            rows += [(10_000_000 + row * len(KINDS) + k, "original") for k in range(len(KINDS))]
        row += 1
    rows = rows[:pictures]
    order = draws(seed, "order", 0).permutation(len(rows))
    return [rows[at] for at in order]


def photo(path):
    image = Image.open(path).convert("RGB")
    image.thumbnail((512, 512))
    return image


def write(job):
    """Everything that is made of one original, which is made once."""
    folder, seed, row, wanted = job
    name, whole = (row.name, photo(row)) if isinstance(row, pathlib.Path) else (row, original(seed, row))
    for at, kind in wanted:
        image, quality = whole, 92
        if kind != "original":
            image, quality = near_copy(whole.copy(), kind, draws(seed, kind, name))
        (folder / f"{at:06}.jpg").write_bytes(jpeg(image, quality))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--photos", nargs="*", default=[])
    args = parser.parse_args()
    folder = pathlib.Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = plan(args.pictures, args.seed)
    photos = []
    for path in sorted(path for photos in args.photos for path in pathlib.Path(photos).rglob("*")):
        try:
            if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and min(photo(path).size) >= 64:
                photos.append(path)
        except OSError as error:
            print(f"SKIPPED: {path}: {error}", file=sys.stderr)
    if args.photos and not photos:
        print(f"SKIPPED: no photos in {args.photos}", file=sys.stderr)
    rows += [(path, kind) for path in photos for kind in ["original", *KINDS]]
    # Photos are numbered from 20 000 000; originals of their own are far below that.
    numbers = {path: 20_000_000 + at for at, path in enumerate(photos)}
    with open(folder / "truth.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "original", "kind"])
        table.writerows((f"{at:06}.jpg", numbers.get(row, row), kind) for at, (row, kind) in enumerate(rows))
    of_original = collections.defaultdict(list)
    for at, (row, kind) in enumerate(rows):
        of_original[row].append((at, kind))
    jobs = [(folder, args.seed, row, wanted) for row, wanted in of_original.items()]
    if args.processes == 1:
        for job in jobs:
            write(job)
        return
    with multiprocessing.Pool(args.processes) as pool:
        for _ in pool.imap_unordered(write, jobs, chunksize=20):
            pass


if __name__ == "__main__":
    main()

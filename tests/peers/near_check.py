"""Hashes of pictures against imagehash and Meta's PDQ, near-copies of the published photos, and an index in faiss for Python.

1. `trommel hash` over 200 generated pictures, stored without loss: pHash and dHash equal imagehash's bits, PDQ is within 2 bits of Meta's
   program where its quality is 80 or more (the order of sums is not the same), and the quality equals.
2. The variants of one photograph in the shared fixtures are one group, and no other photograph is in it.
3. An index that `trommel index` builds of vectors beside metadata opens in faiss, and both find the same rows.
"""

import hashlib
import io
import json
import pathlib

import peer

peer.enter("numpy", "PIL", "imagehash", "pdqhash", "pyarrow", "faiss")

import faiss
import imagehash
import numpy
import pdqhash
import pyarrow
import pyarrow.parquet as parquet
from PIL import Image


def named(name):
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def shard(path, pictures, column):
    """A parquet shard of encoded pictures by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "uid": [named(name) for name in pictures],
        "url": [f"https://example.org/{name}" for name in pictures],
        "text": list(pictures),
        column: pyarrow.array(list(pictures.values()), pyarrow.binary()),
    }
    parquet.write_table(pyarrow.table(columns), path)


def generated(number):
    """A picture of waves, blobs and noise, of a drawn size."""
    random = numpy.random.default_rng(number)
    width, height = random.integers(40, 400, 2)
    y, x = numpy.mgrid[0:height, 0:width]
    picture = numpy.zeros((height, width, 3))
    for channel in range(3):
        for _ in range(6):
            a, b, c = random.normal(0, 0.08, 3)
            picture[:, :, channel] += random.normal(0, 40) * numpy.sin(a * x + b * y + 40 * c)
    picture += random.normal(0, random.choice([0, 4, 20]), picture.shape) + 128
    return Image.fromarray(numpy.clip(picture, 0, 255).astype("uint8"))


def hashes(binary, work, verdict):
    pictures = {f"{number}.png": generated(number) for number in range(200)}

    def png(picture):
        data = io.BytesIO()
        picture.save(data, "PNG")
        return data.getvalue()

    shard(work / "generated/00000.parquet", {name: png(picture) for name, picture in pictures.items()}, "png")
    peer.trommel(binary, "hash", work / "generated", "-o", work / "hashed")
    rows = parquet.read_table(work / "hashed/00000.parquet").to_pylist()
    verdict.equal("rows", len(rows), len(pictures))
    for row in rows:
        picture = pictures[row["text"]]
        verdict.equal(f"{row['text']} phash", row["phash"], str(imagehash.phash(picture)))
        verdict.equal(f"{row['text']} dhash", row["dhash"], str(imagehash.dhash(picture)))
        bits, quality = pdqhash.compute(numpy.asarray(picture))
        ours = numpy.unpackbits(numpy.frombuffer(bytes.fromhex(row["pdq"]), "u1"))
        verdict.equal(f"{row['text']} quality", row["pdq_quality"], quality)
        if quality >= 80:
            verdict.equal(f"{row['text']} pdq", int((ours != numpy.asarray(bits)).sum()) <= 2, True)


def photos(binary, work, verdict):
    folder = peer.fixtures("photos-pdq")
    if folder is None:
        print("SKIPPED: near_check.py: no fixtures photos-pdq (TROMMEL_SHARED names the folder)", file=__import__("sys").stderr)
        return
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pictures = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    shard(work / "photos/00000.parquet", pictures, "jpg")
    peer.trommel(binary, "hash", work / "photos", "-o", work / "photos-hashed")
    peer.trommel(binary, "select", work / "photos-hashed", "-o", work / "photos.parquet", "--near", "pictures", "--near-keep-all")
    name = {named(name): name for name in pictures}
    groups = {}
    for table in (work / "photos.groups").glob("*.parquet"):
        for row in parquet.read_table(table).to_pylist():
            groups.setdefault(row["dup_group"], set()).add(name[row["uid"]])
    bridge = {name for name in pictures if name.startswith("bridge-mods/")}
    group = next((group for group in groups.values() if group & bridge), set())
    verdict.equal("variants of the bridge in one group", sorted(bridge - group), [])
    # The same photograph in other modes of colour is there too.
    strangers = [name for name in group - bridge if not name.startswith("misc-images/modes/")]
    verdict.equal("other photographs in it", strangers, [])
    verdict.equal("other groups", [sorted(other) for other in groups.values() if other is not group], [])


def index(binary, work, verdict):
    random = numpy.random.default_rng(5)
    meta = work / "meta"
    meta.mkdir()
    centres = random.normal(0, 1, (50, 32)).astype("f4")
    parts = []
    for part in range(3):
        vectors = centres[random.integers(0, 50, 900)] + random.normal(0, 0.3, (900, 32)).astype("f4")
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        parts.append(vectors.astype("f2"))
        uids = [named(f"{part} {row}") for row in range(900)]
        parquet.write_table(pyarrow.table({"uid": uids, "url": [f"https://example.org/{uid}" for uid in uids]}), meta / f"{part:05d}.parquet")
        numpy.savez(meta / f"{part:05d}.npz", img=parts[-1])
    everything = numpy.concatenate(parts).astype("f4")
    everything /= numpy.linalg.norm(everything, axis=1, keepdims=True)
    queries = everything[::97]
    numpy.save(work / "queries.npy", queries)
    for factory in (None, "IVF16,Flat", "HNSW16"):
        folder = work / f"index-{factory}"
        report = peer.trommel(binary, "index", meta, "-o", folder, "--key", "img", *(["--factory", factory] if factory else []))
        opened = faiss.read_index(str(folder / "index.faiss"))
        verdict.equal(f"{report['factory']}: vectors", opened.ntotal, len(everything))
        effort = ["--probes", "16"] if "IVF" in report["factory"] else ["--ef-search", "200"] if "HNSW" in report["factory"] else []
        if "IVF" in report["factory"]:
            faiss.extract_index_ivf(opened).nprobe = 16
        elif "HNSW" in report["factory"]:
            faiss.downcast_index(opened).hnsw.efSearch = 200
        similarity, found = opened.search(queries, 5)
        command = [binary, "search", folder, "--vectors", work / "queries.npy", "-k", "5", "--json", *effort]
        done = __import__("subprocess").run(list(map(str, command)), capture_output=True, text=True, check=True)
        ours = [json.loads(line) for line in done.stdout.splitlines()]
        rows = numpy.array([line["row"] for line in ours]).reshape(-1, 5)
        near = numpy.array([line["similarity"] for line in ours]).reshape(-1, 5)
        verdict.equal(f"{report['factory']}: similarities", bool(numpy.allclose(near, similarity, atol=1e-5)), True)
        # Of equally similar rows either may come first.
        ties = numpy.isclose(similarity[:, :-1], similarity[:, 1:], atol=1e-6).any(axis=1)
        verdict.equal(f"{report['factory']}: rows", rows[~ties].tolist(), found[~ties].tolist())


def main():
    options = peer.arguments(__doc__).parse_args()
    verdict = peer.Verdict()
    with peer.folder() as work:
        work = pathlib.Path(work)
        hashes(options.binary, work, verdict)
        photos(options.binary, work, verdict)
        index(options.binary, work, verdict)
    verdict.end()


main()

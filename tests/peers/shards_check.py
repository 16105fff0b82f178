"""Reads an output folder with the programs that training code reads it with, and checks that they all see the same."""

import io
import json
import pathlib
import struct
import subprocess
import tarfile

import duckdb
import pyarrow
import pyarrow.parquet
import webdataset


def rows(folder):
    """All rows of the shards' parquet files, by pyarrow."""
    return pyarrow.concat_tables(pyarrow.parquet.read_table(path) for path in shards(folder, ".parquet"))


def shards(folder, ending):
    """The shards' files of one kind, in order."""
    return sorted(path for path in pathlib.Path(folder).glob(f"*{ending}") if path.stem.isdigit())


def samples(folder):
    """All samples, by webdataset."""
    paths = [str(path) for path in shards(folder, ".tar")]
    dataset = webdataset.WebDataset(paths, shardshuffle=False, empty_check=False)
    return [sample for sample in dataset if "__key__" in sample]


def check(folder, verdict):
    """Every reader sees the same samples. Gives their number."""
    table = rows(folder)
    by_key = {row["key"]: row for row in table.to_pylist()}
    good = sorted(key for key, row in by_key.items() if row["status"] == "success")
    verdict.equal("keys are unique", len(by_key), table.num_rows)

    read = samples(folder)
    verdict.equal("webdataset: keys, in the order of rows", [sample["__key__"] for sample in read], good)
    for sample in read:
        key = sample["__key__"]
        verdict.equal(f"members of {key}", sorted(name for name in sample if not name.startswith("__")), ["jpg", "json", "txt"])
        verdict.equal(f"{key}.json is the row", single(json.loads(sample["json"])), single(by_key[key]))
        verdict.equal(f"{key}.txt is the caption", sample["txt"].decode(), by_key[key]["text"] or "")
        verdict.equal(f"{key}.jpg is a JPEG of the row's size", jpeg_size(sample["jpg"]), (by_key[key]["width"], by_key[key]["height"]))

    for path in shards(folder, ".tar"):
        with tarfile.open(path) as tar:
            members = tar.getmembers()
        names = [member.name for member in members]
        gnu = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
        verdict.equal(f"GNU tar lists what Python's tarfile lists in {path.name}, without a word", (gnu.stdout.split(), gnu.stderr), (names, ""))
        verdict.equal(f"time, owner and format of the members of {path.name}", {(m.mtime, m.uid, m.gid, bool(m.pax_headers)) for m in members} - {(0, 0, 0, False)}, set())
        stems = [name.split(".")[0] for name in names]
        runs = [stem for at, stem in enumerate(stems) if at == 0 or stems[at - 1] != stem]
        verdict.equal(f"members of a sample are adjacent in {path.name}", len(runs), len(set(runs)))
        stats = json.loads(path.with_name(f"{path.stem}_stats.json").read_text())
        verdict.equal(f"successes in the statistics of {path.stem}", stats["successes"], len(set(stems)))

    files = f"read_parquet({[str(path) for path in shards(folder, '.parquet')]})"
    counted = dict(duckdb.sql(f"select status, count(*) from {files} group by status").fetchall())
    verdict.equal("duckdb: rows by status", counted.get("success", 0), len(good))
    verdict.equal("duckdb: rows", sum(counted.values()), table.num_rows)
    excluded = list(pathlib.Path(folder).glob("excluded/*/*.parquet"))
    removed = duckdb.sql(f"select count(*) from read_parquet({list(map(str, excluded))})").fetchall()[0][0] if excluded else 0
    # Behind stages that choose, rows without a picture are in the shards that were chosen from.
    raw = [str(path) for path in pathlib.Path(folder).glob("raw/*.parquet")]
    failed = duckdb.sql(f"select count(*) from read_parquet({raw}) where status <> 'success'").fetchall()[0][0] if raw else 0
    funnel = json.loads((pathlib.Path(folder) / "funnel.json").read_text())
    verdict.equal("the funnel: excluded + failed + shard rows = rows in", removed + failed + table.num_rows, funnel["rows"])
    verdict.equal("the funnel: kept", funnel["kept"], len(good))
    return len(good)


def single(row):
    """The row with its numbers in single precision: a text of 0.9006625 and a 32-bit 0.9006625 are the same number. The signature of
    near-copies is binary, and in tables only."""
    return {name: struct.pack("f", value) if isinstance(value, float) else value for name, value in row.items() if name != "near_signature"}


def jpeg_size(data):
    """Width and height from a JPEG's frame header (ITU-T T.81, B.2.2), or none."""
    stream = io.BytesIO(data)
    if stream.read(2) != b"\xff\xd8":
        return None
    while marker := stream.read(2):
        length = int.from_bytes(stream.read(2), "big")
        if marker[0] != 0xFF:
            return None
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            frame = stream.read(5)
            return int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
        stream.seek(length - 2, io.SEEK_CUR)
    return None

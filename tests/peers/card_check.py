"""Cards of a generated dataset, validated and read by mlcroissant.

    TROMMEL_CARD_FOLDER=FOLDER cargo test --release -p trommel-shards --lib card::tests::dataset
    card_check.py FOLDER          all cards that this test has written there
    card_check.py --card FILE     validates one card: errors and warnings

Exits with 0 when there is no error and what was read is what was written, 1 otherwise, 77 when mlcroissant is missing.
"""

import argparse
import datetime
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from peer import Verdict, enter, skip

enter("mlcroissant", "pyarrow", "PIL")

# mlcroissant keys what it unpacks by relative url: a cache of its own for every check.
CACHE = tempfile.TemporaryDirectory(prefix="trommel-peers-")
os.environ["CROISSANT_CACHE"] = CACHE.name

import mlcroissant  # noqa: E402
import pyarrow.parquet  # noqa: E402

SHARDS, ROWS = 3, 7
# What the test writes: every kind of card of the same dataset, and one of the least facts.
CARDS = ["croissant.json", "sets.json", "repository.json", "old.json", "old_sets.json", "least.json"]


def validate(card):
    """The program `mlcroissant validate`. Gives its exit code, its errors and its warnings."""
    program = pathlib.Path(sys.executable).with_name("mlcroissant")
    if not program.is_file():
        skip(f"no program {program}")
    done = subprocess.run([program, "validate", "--jsonld", card], capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    said = [line.strip() for line in lines if re.match(r"\s*-\s", line)]
    warnings = said if done.returncode == 0 else []
    warnings += [line for line in lines if "WARNING" in line and "Found the following" not in line]
    return done.returncode, [] if done.returncode == 0 else lines, warnings


def check_card(card, verdict):
    """One card has no error; its warnings are printed."""
    code, errors, warnings = validate(card)
    verdict.equal(f"mlcroissant validate {card.name}", (code, errors), (0, []))
    for warning in warnings:
        print(f"warning of {card.name}: {warning}")
    return warnings


def plain(value):
    """A value as mlcroissant gives it, as pyarrow gives it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def rows(folder, pattern):
    """All rows of parquet files, by pyarrow."""
    tables = [pyarrow.parquet.read_table(path) for path in sorted(folder.glob(pattern))]
    return pyarrow.concat_tables(tables).to_pylist()


def check_table(card, name, pattern, verdict, mapping=None):
    """The records of a table, by mlcroissant, are the rows of its files, by pyarrow."""
    dataset = mlcroissant.Dataset(str(card), mapping=mapping)
    read = [
        {key.split("/", 1)[1]: plain(value) for key, value in record.items()} for record in dataset.records(name)
    ]
    written = rows(card.parent, pattern)
    verdict.equal(f"{card.name}: rows of {name}", len(read), SHARDS * ROWS)
    verdict.equal(f"{card.name}: values of {name}", read, written)


def check_images(card, verdict):
    """The pictures in the shards, by mlcroissant: keys and sizes."""
    dataset = mlcroissant.Dataset(str(card))
    read = {record["images/key"].decode(): record["images/content"].size for record in dataset.records("images")}
    verdict.equal(f"{card.name}: images", read, {f"{row:09}": (8, 8) for row in range(SHARDS * ROWS)})


def check_digests(folder, verdict):
    """The digests are right by sha256sum, and a changed file is noticed by mlcroissant."""
    done = subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    verdict.equal("sha256sum --check SHA256SUMS", (done.returncode, done.stdout, done.stderr), (0, "", ""))


def check_meaning(card, verdict):
    """What mlcroissant understands of the facts."""
    metadata = mlcroissant.Dataset(str(card)).metadata
    verdict.equal("name", metadata.name, "shapes")
    verdict.equal("licence", metadata.license, ["https://creativecommons.org/licenses/by/4.0/"])
    verdict.equal("version", metadata.version, "1.2.0")
    verdict.equal("published", metadata.date_published, datetime.datetime(2025, 1, 31))
    verdict.equal("creators", [creator.name for creator in metadata.creators], ["Example"])
    verdict.equal("languages", sorted(metadata.in_language), ["de", "en"])
    verdict.equal("limitations", len(metadata.data_limitations), 5)
    verdict.equal("biases", len(metadata.data_biases), 3)
    verdict.equal("collection types", sorted(metadata.data_collection_type), ["Secondary Data analysis", "Web Scraping"])
    verdict.equal("steps", len(metadata.data_preprocessing_protocol), 3)
    verdict.equal("run", metadata.extra_properties["prov:wasGeneratedBy"]["prov:label"], "crawl and curation run first")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--binary", help="not used")
    parser.add_argument("--card", type=pathlib.Path, help="a card to validate")
    options = parser.parse_args()
    verdict = Verdict()
    if options.card:
        check_card(options.card.resolve(), verdict)
        verdict.end()
    if not options.folder:
        skip("no folder and no card is named")
    folder = options.folder.resolve()
    for name in CARDS:
        check_card(folder / name, verdict)
    for name in ["croissant.json", "sets.json", "old.json"]:
        check_table(folder / name, "pairs", "[0-9]*.parquet", verdict)
        check_table(folder / name, "vectors", "vectors/[0-9]*.parquet", verdict)
    for name in ["croissant.json", "old.json"]:
        check_images(folder / name, verdict)
    check_table(folder / "repository.json", "pairs", "[0-9]*.parquet", verdict, {"repo": str(folder)})
    check_digests(folder, verdict)
    check_meaning(folder / "croissant.json", verdict)
    verdict.end()


if __name__ == "__main__":
    main()

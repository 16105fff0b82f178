"""`extract --compat cc2dataset` gives the rows of cc2dataset's `process_wat`, in its order, for every document type.

    python3 tests/peers/cc2dataset_rows.py [--binary B] [--wat FILE ..]

Compares on the WAT files of the shared fixtures, and on those that `--wat` names. cc2dataset gives up a file whose line ends
were changed on its way; it gets a mended copy of such a file, and we the file as it is.
"""

import gzip
import pathlib
import re
import time

import peer

peer.enter("cc2dataset", "pyarrow")

import pyarrow.parquet
from cc2dataset import process_wat
from fastwarc.warc import ArchiveIterator
from loguru import logger

TYPES = ["image", "image_only", "audio", "video", "text"]
COLUMNS = ["uid", "url", "alt", "cc_filename", "page_url"]


def ours(binary, wat, kind, folder):
    """Our rows, and the columns that they came in."""
    out = pathlib.Path(folder) / f"{wat.name}-{kind}"
    peer.trommel(binary, "extract", wat, "-o", out, "--compat", "cc2dataset", "--types", kind, "--fresh")
    files = sorted(out.glob("*.parquet"))
    assert len(files) == 1, f"one WAT is one file, not {files}"
    table = pyarrow.parquet.read_table(files[0])
    return list(zip(*(table[name].to_pylist() for name in COLUMNS))), table.schema


def readable(wat):
    """Whether cc2dataset's WARC reader comes to the end of the file with any record."""
    try:
        with open(wat, "rb") as file:
            return sum(1 for _ in ArchiveIterator(file)) > 0
    except Exception:  # whatever it raises, cc2dataset takes it for an empty file
        return False


def mended(wat, folder):
    """A copy with the line ends and lengths that the WARC standard asks for."""
    text = (gzip.open if wat.suffix == ".gz" else open)(wat, "rb").read()
    copy = pathlib.Path(folder) / f"mended-{wat.stem}"
    with open(copy, "wb") as out:
        for record in re.split(rb"(?m)^WARC/1\.0\r?\n", text)[1:]:
            head, _, block = record.replace(b"\r\n", b"\n").partition(b"\n\n")
            block = block.rstrip(b"\n")
            lines = [line for line in head.split(b"\n") if not line.lower().startswith(b"content-length:")]
            lines = [b"WARC/1.0", *lines, b"Content-Length: %d" % len(block)]
            out.write(b"\r\n".join(lines) + b"\r\n\r\n" + block + b"\r\n\r\n")
    return copy


def main():
    parser = peer.arguments(__doc__.splitlines()[0])
    parser.add_argument("--wat", action="append", default=[], type=pathlib.Path, help="another WAT file")
    options = parser.parse_args()
    logger.remove()
    fixtures = peer.fixtures("")
    wats = options.wat + (sorted(p for p in fixtures.rglob("*") if p.name.endswith((".wat", ".wat.gz"))) if fixtures else [])
    if not wats:
        peer.skip("no WAT: the shared fixtures are not here and `--wat` names none")
    verdict = peer.Verdict()
    with peer.folder() as folder:
        for wat in wats:
            for_peer = wat if readable(wat) else mended(wat, folder)
            if for_peer != wat:
                print(f"cc2dataset cannot read {wat.name} and gets a mended copy")
            for kind in TYPES:
                started = time.monotonic()
                theirs = list(process_wat(str(for_peer), kind))
                their_seconds = time.monotonic() - started
                rows, schema = ours(options.binary, wat, kind, folder)
                same = verdict.equal(f"{wat.name} {kind}: columns", schema.names, COLUMNS)
                same &= verdict.equal(f"{wat.name} {kind}: types", {str(field.type) for field in schema}, {"string"})
                same &= verdict.equal(f"{wat.name} {kind}: number of rows", len(rows), len(theirs))
                differing = [(a, b) for a, b in zip(rows, theirs) if a != b][:1]
                same &= verdict.equal(f"{wat.name} {kind}: rows in order", *(differing[0] if differing else ((), ())))
                print(f"{'equal' if same else 'DIFFERENT':9}  {wat.name:28} {kind:10} {len(theirs):8} rows  (cc2dataset {their_seconds:.1f} s)")
    verdict.end()


main()

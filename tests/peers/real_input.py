"""The main job over real archives: pages and pictures both from them, offline. Readers read the shards, warcio checks the pictures.

    python3 tests/peers/real_input.py [--binary B] [--write]

Runs `docs/real-input.toml` over the shared fixtures, prints the table of `docs/real-input.md`, and compares the two; `--write` writes
the page anew.
"""

import collections
import hashlib
import json
import pathlib
from urllib.parse import urljoin

import peer

peer.enter("webdataset", "pyarrow", "duckdb", "warcio")

from warcio.archiveiterator import ArchiveIterator

import shards_check

RECIPE = peer.ROOT / "docs/real-input.toml"
PAGE = peer.ROOT / "docs/real-input.md"
ARCHIVES = "warc-pages-with-images"

INTRODUCTION = """\
# The main job on real input

Five web archives of other projects' tests, six files: a Heritrix crawl of 2008 as ARC and as WARC, a book shop made for scraping, two
Wikipedia pages, two Browsertrix captures. The pages are extracted from them, and the pictures are taken from them too, so the job
needs no network: what a page shows and the archives do not hold is lost as `not_in_archive`. The seven pictures of an unsupported
format are SVG drawings. The check reads the shards with webdataset, pyarrow, duckdb and tar, and compares each picture's digest with
the bytes that warcio finds in the archives under its url.

```sh
trommel run docs/real-input.toml             # the job; the recipe is docs/real-input.toml
python3 tests/peers/real_input.py --write    # the job, the readers, and this page
```

"""


def archived(files):
    """What warcio finds: url to the digests of its complete answers, redirects, and urls whose coding warcio cannot undo."""
    digests, redirects, unread = collections.defaultdict(set), {}, set()
    for path in files:
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, arc2warc=True):
                if record.rec_type != "response" or record.http_headers is None:
                    continue
                url, status = record.rec_headers.get_header("WARC-Target-URI"), record.http_headers.get_statuscode()
                if status.startswith("3"):
                    redirects[url] = urljoin(url, record.http_headers.get_header("Location") or "")
                if status != "200":
                    continue
                try:
                    digests[url].add(hashlib.sha256(record.content_stream().read()).hexdigest())
                except Exception:  # warcio and the brotli module of the day do not always fit
                    unread.add(url)
    return digests, redirects, unread


def found(url, digests, redirects):
    """The digests of a url, redirects followed."""
    for _ in range(10):
        if url in digests:
            return digests[url]
        url = redirects.get(url)
        if url is None:
            break
    return set()


def table(out, stats):
    """The figures, as Markdown."""
    lines = ["| archive | records | pages | candidates |", "|---|---:|---:|---:|"]
    total = collections.Counter()
    for marker in sorted((out / "_trommel/done/0-extract").glob("*.json")):
        own = json.loads(marker.read_text())["stats"]
        counts = {"records": own["records"], "pages": own["pages"], "candidates": sum(own["candidates"].values())}
        total.update(counts)
        name = marker.stem.rsplit("-", 1)[0]
        lines.append(f"| {name} | {counts['records']} | {counts['pages']} | {counts['candidates']} |")
    lines.append(f"| **all** | **{total['records']}** | **{total['pages']}** | **{total['candidates']}** |")
    lines += ["", "| stage | rows | lost | reason | kept |", "|---|---:|---:|---|---:|"]
    funnel = stats["funnel"]
    lines.append(f"| extract | {funnel['rows']} | | | {funnel['rows']} |")
    for stage in funnel["stages"]:
        for at, (reason, count) in enumerate(sorted(stage["lost"].items(), key=lambda item: -item[1])):
            first = (f"{stage['stage']}", stage["rows"], stage["kept"]) if at == 0 else ("", "", "")
            lines.append(f"| {first[0]} | {first[1]} | {count} | `{reason}` | {first[2]} |")
    lines.append(f"| **pictures in shards** | | | | **{funnel['kept']}** |")
    return "\n".join(lines) + "\n"


def main():
    parser = peer.arguments(__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    folder_of_archives = peer.fixtures(ARCHIVES)
    if folder_of_archives is None:
        peer.skip("the shared fixtures are not here")
    files = sorted(folder_of_archives.glob("*arc*"))
    verdict = peer.Verdict()
    with peer.folder() as folder:
        folder = pathlib.Path(folder)
        recipe = folder / RECIPE.name
        recipe.write_text(RECIPE.read_text().replace(f"../shared/fixtures/{ARCHIVES}", str(folder_of_archives)))
        out = folder / "out"
        report = peer.trommel(options.binary, "run", recipe, "-o", out)
        stats = peer.trommel(options.binary, "stats", out)
        verdict.equal("`run` and `stats` report the same funnel", report["funnel"], stats["funnel"])
        verdict.equal("the funnel balances", report["balances"], True)
        count = shards_check.check(out, verdict)
        verdict.equal("pictures in shards", count, report["funnel"]["kept"])

        digests, redirects, unread = archived(files)
        rows = shards_check.rows(out).to_pylist()
        checked = 0
        for row in rows:
            url = row["url"]
            if row["status"] == "success" and url not in unread:
                checked += 1
                verdict.equal(f"warcio finds the bytes of {url}", row["sha256"] in found(url, digests, redirects), True)
            elif row["error_code"] == "not_in_archive":
                verdict.equal(f"warcio does not find {url} either", found(url, digests, redirects), set())
        figures = table(out, stats)
        print(figures)
        print(f"{checked} of {count} pictures have the bytes that warcio finds under their url")
    if options.write:
        PAGE.write_text(INTRODUCTION + figures)
    else:
        page = PAGE.read_text() if PAGE.exists() else ""
        verdict.equal(f"the table of {PAGE.name} is of today (`--write` writes it)", figures in page, True)
    verdict.end()


main()

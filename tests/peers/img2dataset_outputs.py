"""`fetch --compat img2dataset` against img2dataset itself, over the same urls on the same loopback servers.

    python3 tests/peers/img2dataset_outputs.py [--binary B] [--only CHECK]

Checks: `sizes` (five modes, with and without resize_only_if_bigger), `exif` (tags), `filters` (sizes and aspect that are refused), `successes` (a
list with everything that goes wrong, twice over) and `layout` (files, keys, columns, JSON members and statistics in three formats).
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile

import peer

peer.enter("img2dataset", "pyarrow", "cv2")

import cv2
import numpy
import pyarrow
import pyarrow.parquet

import pictures
from picture_server import Answer, Servers

MODES = ["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
POLITE = [
    *("--allow-net", "127.0.0.0/8", "--contact", "https://example.org/bot", "--per-host-delay", "0", "--per-host-concurrency", "16"),
    *("--retries", "0", "--timeout", "5", "--net", "ports=", "--net", "backoff_base=0.01", "--net", "host_failures=100000"),
]


class Bench:
    """The servers, the binary, and a folder."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = pathlib.Path(folder)
        self.servers = Servers()
        self.verdict = peer.Verdict()

    def list(self, name, urls, **columns):
        """Writes a url list."""
        path = self.folder / f"{name}.parquet"
        pyarrow.parquet.write_table(pyarrow.table({**columns, "url": urls}), path)
        return path

    def run(self, name, lists_and_options, *ours_only):
        """Runs both programs with the same options, ours with some more; gives pairs of output folders."""
        jobs, pairs = [], []
        for number, (urls, options) in enumerate(lists_and_options):
            theirs = self.folder / f"{name}-{number}-theirs"
            ours = self.folder / f"{name}-{number}-ours"
            jobs.append({"url_list": str(urls), "input_format": "parquet", "output_folder": str(theirs), **options})
            flags = []
            for key, value in options.items():
                value = ",".join(value) if isinstance(value, list) else value
                flags += [f"--{key}", str(value).lower() if isinstance(value, bool) else str(value)]
            peer.trommel(self.binary, "fetch", urls, "-o", ours, "--compat", "img2dataset", *POLITE, *flags, *ours_only)
            pairs.append((ours, theirs))
        environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
        job = pathlib.Path(__file__).with_name("img2dataset_job.py")
        done = subprocess.run([sys.executable, job], input=json.dumps(jobs), capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            sys.exit(f"img2dataset failed: {done.stderr[-3000:]}")
        return pairs


def table(folder):
    """All rows of an output."""
    return pyarrow.concat_tables(pyarrow.parquet.read_table(path) for path in sorted(folder.glob("*.parquet")))


def by_url(folder):
    """The rows of an output by their url."""
    return {row["url"]: row for row in table(folder).to_pylist()}


def members(folder):
    """Name and bytes of the members of all tars."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found.update({member.name: tar.extractfile(member).read() for member in tar})
    return found


def short(url):
    """A url without its host."""
    return "/" + url.split("/", 3)[-1]


def sizes(bench):
    """Sizes in the rows and in the files, and how far the pixels are from theirs."""
    urls = []
    folder = peer.fixtures("urls-img2dataset/resize_test_image")
    if folder is None:
        print("SKIPPED: the photos of img2dataset's own tests: the shared fixtures are not here", file=sys.stderr)
    for path in sorted(folder.iterdir()) if folder else []:
        urls.append(bench.servers.add(f"/photo/{path.name}", Answer(path.read_bytes())))
    random = numpy.random.default_rng(7)
    drawn = [(int(w), int(h)) for w, h in random.integers(20, 700, (40, 2))]
    # Halves, one off, equal sides, and the target itself: where roundings and comparisons part.
    for width, height in [(256, 256), (255, 257), (257, 255), (512, 511), (511, 1023), (101, 333), (384, 256), (256, 100), (100, 256), *drawn]:
        urls.append(bench.servers.add(f"/drawn/{width}x{height}.jpg", Answer(pictures.jpeg(width * 1000 + height, width, height))))
    urls_file = bench.list("sizes", urls)
    options = [{"resize_mode": mode, "resize_only_if_bigger": bigger} for mode in MODES for bigger in (False, True)]
    runs = bench.run("sizes", [(urls_file, {**each, "image_size": 256, "output_format": "webdataset"}) for each in options])
    for each, (ours, theirs) in zip(options, runs):
        what = f"{each['resize_mode']}{' only_if_bigger' if each['resize_only_if_bigger'] else ''}"
        columns = ["status", "width", "height", "original_width", "original_height", "sha256", "key"]
        mine, peers = by_url(ours), by_url(theirs)
        before = bench.verdict.differ
        for url in urls:
            bench.verdict.equal(f"{what} {short(url)}", *([rows[url][name] for name in columns] for rows in (mine, peers)))
        mine, peers = members(ours), members(theirs)
        bench.verdict.equal(f"{what}: members", sorted(mine), sorted(peers))
        worst, total, count = 0.0, 0.0, 0
        for name in sorted(set(mine) & set(peers)):
            if name.endswith(".jpg"):
                a, b = (cv2.imdecode(numpy.frombuffer(data[name], numpy.uint8), cv2.IMREAD_COLOR) for data in (mine, peers))
                if bench.verdict.equal(f"{what} {name}: decoded shape", a.shape, b.shape):
                    distance = float(numpy.abs(a.astype(int) - b.astype(int)).mean())
                    worst, total, count = max(worst, distance), total + distance, count + 1
        # Eight levels of 256 on average would be another picture, or one moved by a pixel.
        bench.verdict.equal(f"{what}: mean distance of a picture's pixels under 8 levels", worst < 8, True, f"({worst:.2f})")
        verdict = "equal" if bench.verdict.differ == before else "DIFFERENT"
        print(f"{verdict:9}  sizes {what:34} {count} pictures; pixels differ by {total / max(count, 1):.2f} levels on average, {worst:.2f} at most")


def exif(bench):
    """The same tags with the same texts. img2dataset's reader skips some values (it leaves them empty or zero) that ours gives."""
    files = [path for name in ("img-exif", "urls-img2dataset/resize_test_image") for path in sorted((peer.fixtures(name) or pathlib.Path()).glob("*.jpg"))]
    if not files:
        print("SKIPPED: exif: the shared fixtures are not here", file=sys.stderr)
        return
    urls = [bench.servers.add(f"/exif/{path.name}", Answer(path.read_bytes())) for path in files]
    options = {"output_format": "parquet", "image_size": 64}
    urls_file = bench.list("exif", urls)
    ours, theirs = bench.run("exif", [(urls_file, options)], "--keep-location", "true")[0]
    mine, peers = by_url(ours), by_url(theirs)
    before, tags = bench.verdict.differ, 0
    for url in urls:
        if mine[url]["status"] != "success" and peers[url]["status"] != "success":
            continue
        a, b = (json.loads(rows[url]["exif"] or "{}") for rows in (mine, peers))
        bench.verdict.equal(f"exif tags of {short(url)}", sorted(a), sorted(b))
        if a == b:
            bench.verdict.equal(f"exif as text of {short(url)}", mine[url]["exif"], peers[url]["exif"])
        for tag in sorted(set(a) & set(b)):
            tags += 1
            if b[tag] not in ("", "[0, 0, 0, 0]"):
                bench.verdict.equal(f"exif `{tag}` of {short(url)}", a[tag], b[tag])
    print(f"{'equal' if bench.verdict.differ == before else 'DIFFERENT':9}  exif: {tags} tags of {len(urls)} photos")


def filters(bench):
    """The three limits on sizes refuse the same pictures with the same words."""
    urls = []
    for width, height in [(50, 50), (99, 200), (100, 200), (101, 202), (100, 201), (200, 100), (300, 100), (400, 300), (400, 301), (400, 299), (800, 150)]:
        urls.append(bench.servers.add(f"/limits/{width}x{height}.jpg", Answer(pictures.jpeg(width + height, width, height))))
    urls_file = bench.list("filters", urls)
    options = [{"min_image_size": 100}, {"max_aspect_ratio": 2.0}, {"max_image_area": 120000.0}]
    runs = bench.run("filters", [(urls_file, {**each, "output_format": "webdataset"}) for each in options])
    for each, (ours, theirs) in zip(options, runs):
        mine, peers = by_url(ours), by_url(theirs)
        before = bench.verdict.differ
        for url in urls:
            bench.verdict.equal(f"{each} {short(url)}", *([rows[url][name] for name in ("status", "error_message", "width")] for rows in (mine, peers)))
        refused = sum(row["status"] != "success" for row in peers.values())
        print(f"{'equal' if bench.verdict.differ == before else 'DIFFERENT':9}  filters {each}: {refused} of {len(urls)} refused")


def successes(bench):
    """The same urls succeed, but for differences that are named; and the same urls fail in the same step."""
    urls, kinds = [], {}
    for seed in range(5):
        for name, answer in pictures.answers(seed):
            url = bench.servers.add(f"/{seed}/{name}", answer, host=len(urls))
            urls.append(url)
            kinds[url] = name
    pairs = bench.run("successes", [(bench.list("successes", urls), {"output_format": "webdataset", "number_sample_per_shard": 100})])
    mine, peers = (by_url(folder) for folder in pairs[0])
    named = set()
    for url in urls:
        ours, theirs = mine[url]["status"], peers[url]["status"]
        name = kinds[url]
        messages = f"({mine[url]['error_message']} | {peers[url]['error_message']})"
        if name in pictures.DELIBERATE:
            expected = pictures.DELIBERATE[name]
            bench.verdict.equal(f"the named difference {short(url)}", (ours, theirs), expected[:2], messages)
            named.add(name)
        elif bench.verdict.equal(f"status of {short(url)}", ours, theirs, messages):
            for column in ("key", "width", "height", "original_width", "original_height", "sha256"):
                bench.verdict.equal(f"{column} of {short(url)}", mine[url][column], peers[url][column])
    good = [sum(row["status"] == "success" for row in rows.values()) for rows in (mine, peers)]
    print(f"successes: {len(urls)} urls, {good[0]} of ours and {good[1]} of theirs succeed; differences on purpose:")
    for name in sorted(named):
        print(f"  {name}: ours {pictures.DELIBERATE[name][0]}, theirs {pictures.DELIBERATE[name][1]}: {pictures.DELIBERATE[name][2]}")


def layout(bench):
    """Files, keys, columns and their types, JSON members, statistics."""
    count = 25
    urls = [bench.servers.add(f"/layout/{n}.jpg", Answer(pictures.jpeg(n), 404 if n % 6 == 5 else 200), host=n) for n in range(count)]
    captions = [None if n % 5 == 4 else f"eine Straße, “{n}” \U0001f389\x7f\n/\\" for n in range(count)]
    columns = {"sim": [n / 3 for n in range(count)], "uid": [f"{n:032x}" for n in range(count)], "rank": list(range(count)), "caption": captions}
    urls_file = bench.list("layout", urls, **columns)
    common = {"caption_col": "caption", "number_sample_per_shard": 10}
    variants = [
        {"output_format": "webdataset", "save_additional_columns": ["uid", "sim", "rank"]},
        {"output_format": "parquet", "save_additional_columns": ["sim"], "compute_hash": "md5"},
        {"output_format": "files", "encode_format": "png", "encode_quality": 5, "extract_exif": False},
        {"output_format": "webdataset", "encode_format": "webp", "disable_all_reencoding": True, "oom_shard_count": 3},
    ]
    runs = bench.run("layout", [(urls_file, {**common, **each}) for each in variants])
    for each, (ours, theirs) in zip(variants, runs):
        what = f"layout {each['output_format']}" + (" as they came" if "disable_all_reencoding" in each else "")
        before = bench.verdict.differ
        files = [
            sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0][0].isdigit())
            for folder in (ours, theirs)
        ]
        bench.verdict.equal(f"{what}: names of files", *files)
        for path in sorted(theirs.glob("*.parquet")):
            schemas = [[(field.name, str(field.type)) for field in pyarrow.parquet.read_schema(folder / path.name)] for folder in (ours, theirs)]
            bench.verdict.equal(f"{what}: columns of {path.name}", *schemas)
        mine, peers = by_url(ours), by_url(theirs)
        pictures_column = each.get("encode_format", "jpg")
        for url in urls:
            for column in peers[url]:
                # Bytes that are kept as they came have the sizes of their header with us, and none with img2dataset.
                more = "disable_all_reencoding" in each and peers[url][column] is None
                if column not in ("error_message", pictures_column) and not more:
                    bench.verdict.equal(f"{what}: {column} of {short(url)}", mine[url].get(column), peers[url][column])
        if each["output_format"] == "files":
            mine, peers = ({str(p.relative_to(d)): p.read_bytes() for p in d.glob("[0-9]*/*")} for d in (ours, theirs))
        else:
            mine, peers = members(ours), members(theirs)
            for path in sorted(theirs.glob("*.tar")):
                with tarfile.open(path) as a, tarfile.open(ours / path.name) as b:
                    samples = [[name.split(".") for name in tar.getnames()] for tar in (b, a)]
                bench.verdict.equal(f"{what}: endings in {path.name}", *([ending for _, ending in names] for names in samples))
        for name, data in peers.items():
            if name.endswith(".json") and "disable_all_reencoding" in each:
                bench.verdict.equal(f"{what}: keys of {name}", list(json.loads(mine[name])), list(json.loads(data)))
            elif name.endswith(".json"):
                bench.verdict.equal(f"{what}: {name}", mine[name].decode(), data.decode())
            elif name.endswith(".txt"):
                bench.verdict.equal(f"{what}: {name}", mine[name], data)
        for path in sorted(theirs.glob("*_stats.json")):
            stats = [json.loads((folder / path.name).read_text()) for folder in (ours, theirs)]
            bench.verdict.equal(f"{what}: keys of {path.name}", *(list(each) for each in stats))
            for key in ("count", "successes", "failed_to_download", "failed_to_resize"):
                bench.verdict.equal(f"{what}: {key} of {path.name}", *(each[key] for each in stats))
        print(f"{'equal' if bench.verdict.differ == before else 'DIFFERENT':9}  {what}: {len(files[1])} files")


CHECKS = {"sizes": sizes, "exif": exif, "filters": filters, "successes": successes, "layout": layout}


def main():
    parser = peer.arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CHECKS, action="append")
    options = parser.parse_args()
    with peer.folder() as folder:
        bench = Bench(options.binary, folder)
        for name in options.only or CHECKS:
            CHECKS[name](bench)
        bench.servers.close()
    bench.verdict.end()


main()

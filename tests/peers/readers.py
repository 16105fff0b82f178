"""webdataset, pyarrow, duckdb, Python's tarfile and GNU tar read what `trommel demo` writes, and see the same.

    python3 tests/peers/readers.py [--binary B] [--pages N]
"""

import pathlib

import peer

peer.enter("webdataset", "pyarrow", "duckdb")

import shards_check


def main():
    parser = peer.arguments(__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=100)
    options = parser.parse_args()
    verdict = peer.Verdict()
    with peer.folder() as folder:
        report = peer.trommel(options.binary, "demo", "-o", folder, "--pages", options.pages)
        count = shards_check.check(pathlib.Path(folder) / "dataset", verdict)
        verdict.equal("samples", count, report["funnel"]["kept"])
        verdict.equal("the demo yields pictures", count > options.pages // 2, True, f"({count})")
        print(f"{count} samples of {report['funnel']['rows']} candidates, read by webdataset, pyarrow, duckdb, tarfile and GNU tar")
    verdict.end()


main()

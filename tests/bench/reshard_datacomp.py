"""Resharding the way DataComp's resharder does it: webdataset reads the samples, a JSON parser takes the uid, numpy searches it
in the mapped subset, and a webdataset writer writes each sample as often as it was found.

Usage: reshard_datacomp.py INPUT SUBSET OUTPUT [SHARD_SIZE]. Prints seconds, input samples a second and written MB a second.
"""

import json
import pathlib
import sys
import time

import numpy
import webdataset

try:
    import simdjson

    PARSER = simdjson.Parser()

    def uid_of(text):
        return PARSER.parse(text).get("uid")
except ImportError:

    def uid_of(text):
        return json.loads(text)["uid"]


def main():
    folder, subset, output = (pathlib.Path(argument) for argument in sys.argv[1:4])
    size = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    wanted = numpy.load(subset, mmap_mode="r")
    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    read = 0
    with webdataset.ShardWriter(str(output / "%08d.tar"), maxcount=size, maxsize=3e9, verbose=0) as writer:
        for sample in samples:
            if "json" not in sample:
                continue
            read += 1
            uid = uid_of(sample["json"])
            key = numpy.array([(int(uid[:16], 16), int(uid[16:32], 16))], wanted.dtype)[0]
            first = numpy.searchsorted(wanted, key, "left")
            end = numpy.searchsorted(wanted, key, "right")
            for copy in range(end - first):
                members = {ending: sample[ending] for ending in ("jpg", "json", "txt") if ending in sample}
                writer.write({"__key__": f"{uid}-{copy}", **members})
    seconds = time.perf_counter() - started
    written = sum(path.stat().st_size for path in output.glob("*.tar"))
    print(f"{seconds:>9.3f} {read / seconds:>12.0f} {written / 1e6 / seconds:>10.0f}")


if __name__ == "__main__":
    main()

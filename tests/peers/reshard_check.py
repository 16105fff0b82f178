"""Reads resharded tars with webdataset and compares them with the inputs, read the same way.

Usage: reshard_check.py INPUT OUTPUT SUBSET. Every uid is there as often as the subset says, its members are the input's byte for byte,
keys are DataComp's, every shard but the last has as many samples as `sizes.json` says, and no key stands twice in a shard.
"""

import collections
import json
import pathlib
import sys

import numpy
import webdataset


def samples(path):
    read = webdataset.WebDataset([str(path)], shardshuffle=False, empty_check=False)
    return [sample for sample in read if "__key__" in sample and "json" in sample]


def main():
    source, output, subset = (pathlib.Path(argument) for argument in sys.argv[1:4])
    wanted = collections.Counter(f"{high:016x}{low:016x}" for high, low in numpy.load(subset).tolist())
    there = {}
    for path in sorted(source.glob("*.tar")):
        for sample in samples(path):
            there.setdefault(json.loads(sample["json"])["uid"], sample)
    found = collections.Counter()
    sizes = {}
    for path in sorted(output.glob("*.tar")):
        read = samples(path)
        sizes[path.name] = len(read)
        assert len({sample["__key__"] for sample in read}) == len(read), f"a key stands twice in {path}"
        for sample in read:
            uid, _, copy = sample["__key__"].rpartition("-")
            assert int(copy) < wanted[uid], sample["__key__"]
            found[uid] += 1
            mine = {name: content for name, content in sample.items() if not name.startswith("__")}
            theirs = {name: content for name, content in there[uid].items() if not name.startswith("__")}
            assert mine == theirs, f"members of {uid} differ"
        assert json.loads(path.with_name(f"{path.stem}_stats.json").read_text()) == {"successes": len(read)}
    expected = {uid: copies for uid, copies in wanted.items() if uid in there}
    assert found == expected, "the samples are not those of the subset"
    assert sizes == json.loads((output / "sizes.json").read_text())
    assert json.loads((output / "meta.json").read_text())["output_shard_count"] == len(sizes)
    assert (output / "sample_ids.npy").read_bytes() == subset.read_bytes()
    print(f"{sum(found.values())} samples in {len(sizes)} shards agree")


if __name__ == "__main__":
    main()

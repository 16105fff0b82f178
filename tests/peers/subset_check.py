"""Subset files between this project and numpy.

`subset_check.py write FOLDER` writes with numpy what ours has to read; `subset_check.py check FOLDER` loads what ours has written and
compares dtype, order, values and bytes. `uids.txt` in the folder holds the uids, one per line, a uid as often as it is wanted.
"""

import io
import pathlib
import sys

import numpy

PAIR = numpy.dtype("u8,u8")


def pairs(folder):
    """The uids as DataComp's scripts make them: pairs, sorted."""
    uids = (folder / "uids.txt").read_text().split()
    array = numpy.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids], PAIR)
    array.sort()
    return array


def write(folder):
    array = pairs(folder)
    numpy.save(folder / "numpy.npy", array)
    numpy.save(folder / "plain.npy", array.view("<u8").reshape(-1, 2))
    mapped = numpy.memmap(folder / "raw.memmap", PAIR, "w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()


def check(folder):
    array = pairs(folder)
    ours = numpy.load(folder / "ours.npy", mmap_mode="r")
    assert ours.dtype == PAIR, ours.dtype
    assert ours.shape == array.shape, (ours.shape, array.shape)
    assert (ours == array).all(), "order or values differ"
    expected = io.BytesIO()
    numpy.save(expected, array)
    assert (folder / "ours.npy").read_bytes() == expected.getvalue(), "bytes differ"
    for uid in array[:100]:
        first, end = numpy.searchsorted(ours, uid, "left"), numpy.searchsorted(ours, uid, "right")
        assert end - first == (array == uid).sum(), uid


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))

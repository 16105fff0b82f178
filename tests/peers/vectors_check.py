"""Vectors between this project and numpy, faiss and pyarrow.

    vectors_check.py write FOLDER    numpy's files, for our readers
    vectors_check.py read FOLDER     our files, by numpy, faiss and pyarrow

Both sides hold `component(row, at) = ((row * dim + at) * 37 % 1021 - 500) / 64`, which half precision holds exactly, and
row 3 is null. Exits with 77 when a module is missing.
"""

import sys
from pathlib import Path

try:
    import faiss
    import numpy as np
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"SKIPPED: {missing}", file=sys.stderr)
    sys.exit(77)

ROWS = 50


def vectors(dim, dtype):
    data = (np.arange(ROWS * dim) * 37 % 1021 - 500) / 64
    return data.reshape(ROWS, dim).astype(dtype)


def same(found, dim, dtype):
    assert found.dtype == dtype and found.shape == (ROWS, dim), (found.dtype, found.shape)
    assert np.isnan(found[3]).all()
    kept = np.arange(ROWS) != 3
    assert (found[kept] == vectors(dim, dtype)[kept]).all()


def write(folder):
    for name, dtype in [("f2", np.float16), ("f4", np.float32), ("f8", np.float64)]:
        arrays = {"b32_img": vectors(5, dtype), "l14_img": vectors(7, dtype)}
        np.savez(folder / f"stored_{name}.npz", **arrays)
        np.savez_compressed(folder / f"deflated_{name}.npz", **arrays)
        np.save(folder / f"{name}.npy", arrays["b32_img"])
        with open(folder / f"{name}_v2.npy", "wb") as file:
            np.lib.format.write_array(file, arrays["b32_img"], version=(2, 0))
    np.save(folder / "fortran.npy", np.asfortranarray(vectors(5, np.float32)))
    np.save(folder / "big.npy", vectors(5, ">f4"))
    np.save(folder / "object.npy", vectors(5, object), allow_pickle=True)


def read(folder):
    for name, dtype in [("f2", np.float16), ("f4", np.float32)]:
        found = np.load(folder / f"{name}.npy")
        same(found, 5, dtype)
        np.save(folder / "again.npy", found)
        assert (folder / "again.npy").read_bytes() == (folder / f"{name}.npy").read_bytes(), "other bytes than numpy's"
        for kind in ["stored", "deflated"]:
            archive = np.load(folder / f"{kind}_{name}.npz")
            assert archive.files == ["b32_img", "l14_img"] and archive.zip.testzip() is None
            same(archive["b32_img"], 5, dtype)
            same(archive["l14_img"], 7, dtype)
    kept = np.load(folder / "f2.npy").astype(np.float32)
    kept = kept[~np.isnan(kept).any(axis=1)]
    index = faiss.IndexFlatIP(kept.shape[1])
    index.add(kept)
    scores, _ = index.search(kept[:9], 1)
    assert index.ntotal == ROWS - 1 and np.allclose(scores[:, 0], (kept[:9] @ kept.T).max(axis=1))
    table = pq.read_table(folder / "v.parquet")
    field = table.schema.field("tiny")
    assert str(field.type).startswith("fixed_size_list<") and "halffloat" in str(field.type), field.type
    assert field.metadata[b"trommel.model"] == b"tiny" and table.column_names == ["uid", "key", "tiny"]
    rows = table.column("tiny").to_pylist()
    assert rows[3] is None
    wanted = vectors(5, np.float16)
    assert all(row == 3 or np.array_equal(np.array(rows[row], np.float16), wanted[row]) for row in range(ROWS))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))

"""DataComp's baselines select the same uids from what `embed --compat datacomp` writes as from a layout that numpy makes.

    python3 tests/peers/datacomp_filter.py [--binary B]

The rules are those of DataComp's `baselines/apply_filter.py`: a CLIP score over a threshold or in the best fraction of the whole pool, and image
vectors whose nearest centroid is one of those nearest to target images. The second layout is made from the vectors themselves: float32 npz,
deflated, and scores computed anew.
"""

import pathlib
import sys

import peer

peer.enter("numpy", "pyarrow", "webdataset")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCORE = "clip_b32_similarity_score"


def by_score(folder, threshold=None, fraction=None):
    tables = [pq.read_table(path, columns=["uid", SCORE]) for path in sorted(folder.glob("*.parquet"))]
    uids = np.concatenate([table["uid"].to_numpy(zero_copy_only=False) for table in tables])
    scores = np.concatenate([table[SCORE].to_numpy() for table in tables])
    known = ~np.isnan(scores.astype(np.float64))
    if threshold is None:
        threshold = np.sort(scores[known])[::-1][int(known.sum() * fraction)]
    return sorted(uid for uid, score in zip(uids, scores) if score >= threshold)


def by_image(folder, centroids, wanted):
    found = []
    for path in sorted(folder.glob("*.parquet")):
        uids = pq.read_table(path, columns=["uid"])["uid"].to_pylist()
        vectors = np.load(path.with_suffix(".npz"))["b32_img"].astype(np.float32)
        assert len(uids) == len(vectors), (path, len(uids), vectors.shape)
        has = ~np.isnan(vectors).any(axis=1)
        nearest = np.argmax(np.nan_to_num(vectors) @ centroids.T, axis=1)
        found += [uid for uid, near, ok in zip(uids, nearest, has) if ok and near in wanted]
    return sorted(found)


def main():
    options = peer.arguments(__doc__.splitlines()[0]).parse_args()
    verdict = peer.Verdict()
    with peer.folder() as folder:
        root = pathlib.Path(folder)
        peer.trommel(options.binary, "demo", "-o", folder, "--pages", 60)
        ours, vectors, theirs = root / "ours", root / "vectors", root / "theirs"
        shards = root / "dataset"
        embed = ["embed", shards, "--model", "miniweb-clip"]
        peer.trommel(options.binary, *embed, "-o", ours, "--compat", "datacomp", "--score-name", SCORE)
        peer.trommel(options.binary, *embed, "-o", vectors, "--vectors", "npy", "--score-name", "m")
        theirs.mkdir()
        rows = 0
        for path in sorted(vectors.glob("*.parquet")):
            uids = pq.read_table(path, columns=["uid"])["uid"]
            image = np.load(vectors / "vectors" / f"{path.stem}.m_img.npy").astype(np.float32)
            text = np.load(vectors / "vectors" / f"{path.stem}.m_txt.npy").astype(np.float32)
            scores = pq.read_table(path, columns=["m"])["m"]
            again = (image * text).sum(axis=1)
            known = ~np.isnan(again)
            verdict.equal("scores are the cosines of the vectors", bool(np.abs(again[known] - scores.to_numpy()[known]).max() < 2e-3), True)
            verdict.equal("a row without a picture has no score", scores.null_count, int((~known).sum()))
            pq.write_table(pa.table({"uid": uids, SCORE: scores}), theirs / path.name)
            np.savez_compressed(theirs / f"{path.stem}.npz", b32_img=image, b32_txt=text)
            rows += len(uids)
        for path in sorted(ours.glob("*.parquet")):
            table = pq.read_table(path)
            wanted = ["uid", "url", "text", "original_width", "original_height", "clip_b32_similarity_score", "clip_l14_similarity_score",
                      "face_bboxes", "sha256"]
            verdict.equal("DataComp's columns", table.column_names, wanted)
            verdict.equal("types", [str(table.schema.field(name).type) for name in wanted[3:7]], ["int64", "int64", "float", "float"])
        for threshold in (0.0, 0.2, 0.4):
            kept = by_score(ours, threshold)
            verdict.equal(f"uids over {threshold}", kept, by_score(theirs, threshold))
        for fraction in (0.1, 0.3, 0.5):
            verdict.equal(f"the best {fraction}", by_score(ours, fraction=fraction), by_score(theirs, fraction=fraction))
        dim = np.load(next(ours.glob("*.npz")))["b32_img"].shape[1]
        centroids = np.random.default_rng(0).normal(size=(32, dim)).astype(np.float32)
        kept = by_image(ours, centroids, set(range(8)))
        verdict.equal("uids near the wanted centroids", kept, by_image(theirs, centroids, set(range(8))))
        verdict.equal("the filters keep some and lose some", 0 < len(kept) < rows, True, f"({len(kept)} of {rows})")
        print(f"{rows} rows: thresholds, fractions and centroids select the same uids")
    verdict.end()


main()

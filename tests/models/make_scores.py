"""Golden values of the scores over stored vectors, by plain numpy in double precision.

    python tests/models/make_scores.py

writes embeddings/tests/golden/scores/scores.json. The formulas are written as the papers have them (negCLIPLoss and
NormSim: arXiv 2405.19547; JEST: arXiv 2406.17711; SigLIP: arXiv 2303.15343), without any blocking.
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[2] / "embeddings" / "tests" / "golden" / "scores" / "scores.json"
PAIRS, DIM, TARGETS, CENTROIDS = 37, 8, 11, 6


def unit(rng, rows):
    vectors = rng.standard_normal((rows, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def log_sum_exp(values, axis):
    top = values.max(axis=axis, keepdims=True)
    return (np.log(np.exp(values - top).sum(axis=axis, keepdims=True)) + top).squeeze(axis)


def neg_clip_loss(images, texts, temperature, batch, orders):
    rows = len(images)
    total, seen = np.zeros(rows), np.zeros(rows)
    for order in orders:
        for start in range(0, len(order), batch):
            own = order[start : start + batch]
            fill = order[: batch - len(own)] if start > 0 else []
            block = list(own) + list(fill)
            logits = images[block] @ texts[block].T / temperature
            of_images, of_texts = log_sum_exp(logits, 1), log_sum_exp(logits, 0)
            for at, row in enumerate(own):
                cosine = images[row] @ texts[row]
                total[row] += cosine - temperature / 2 * of_images[at] - temperature / 2 * of_texts[at]
                seen[row] += 1
    return [float(t / s) if s else None for t, s in zip(total, seen)]


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def main():
    rng = np.random.default_rng(20)
    images, texts = unit(rng, PAIRS), unit(rng, PAIRS)
    # Right captions are nearer to their pictures than others, and pictures share a direction, as real ones do.
    texts = texts + 1.5 * images + 0.5
    texts = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32)
    targets, centroids = unit(rng, TARGETS), (unit(rng, CENTROIDS) * rng.uniform(0.5, 2, (CENTROIDS, 1))).astype(np.float32)
    missing = [4, 30]
    kept = [row for row in range(PAIRS) if row not in missing]
    f, g = images.astype(np.float64), texts.astype(np.float64)
    t, c = targets.astype(np.float64), centroids.astype(np.float64)
    orders = [[int(row) for row in rng.permutation(kept)] for _ in range(3)]

    losses = []
    for temperature, batch in [(0.01, 8), (0.07, 8), (0.07, 35), (0.01, 100)]:
        scores = neg_clip_loss(f, g, temperature, batch, orders)
        losses.append({"temperature": temperature, "batch": batch, "scores": scores})

    scale, bias = 10.0, -10.0
    z = scale * f[kept] @ g[kept].T
    y = 2 * np.eye(len(kept)) - 1
    nll = -log_sigmoid(y * (z + bias))
    soft = (log_sum_exp(z, 1) + log_sum_exp(z, 0)) / 2 - np.diag(z)

    def spread(values):
        row = dict(zip(kept, values.tolist()))
        return [row.get(at) for at in range(PAIRS)]

    cosine = 1 - f @ (c / np.linalg.norm(c, axis=1, keepdims=True)).T
    distance = np.linalg.norm(f[:, None, :] - c[None, :, :], axis=2)
    moment = t.T @ t
    offsets = [0, 3, 3, 8, 20, 21, PAIRS]
    best = []
    for image, (start, end) in enumerate(zip(offsets, offsets[1:])):
        scores = g[start:end] @ f[image]
        best.append([int(scores.argmax()), float(scores.max())] if end > start else None)

    golden = {
        "dim": DIM,
        "images": images.ravel().tolist(),
        "texts": texts.ravel().tolist(),
        "targets": targets.ravel().tolist(),
        "centroids": centroids.ravel().tolist(),
        "missing": missing,
        "orders": orders,
        "neg_clip_loss": losses,
        "norm_sim_2": np.sqrt(np.einsum("id,de,ie->i", f, moment, f)).tolist(),
        "norm_sim_2_direct": np.linalg.norm(f @ t.T, axis=1).tolist(),
        "norm_sim_inf": (f @ t.T).max(axis=1).tolist(),
        "nearest_cosine": [cosine.argmin(axis=1).tolist(), cosine.min(axis=1).tolist()],
        "nearest_l2": [distance.argmin(axis=1).tolist(), distance.min(axis=1).tolist()],
        "offsets": offsets,
        "best_caption": best,
        "scale": scale,
        "bias": bias,
        "sigmoid": spread(np.diag(nll)),
        "sigmoid_batch": spread(nll.sum(axis=1)),
        "softmax": spread(soft),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

"""The streaming update of M4 in numpy, on the rows of `cargo bench -p trommel-filters --bench m4`.

    python3 tests/bench/m4_numpy.py [ROWS]

The same update in the same batches, vectorised within a batch: batch means as matrix products, all rows at once in the second pass. It prints its
time and the bias that is left, to be held against ours.
"""

import sys
import time

import numpy as np

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
TARGETS = np.array([0.45, 0.3, 0.3])
ETA, CAP, LEVEL = 0.65, 1.0, 100.0
EPSILON_R, EPSILON_D = 0.01, 0.001
BATCH, STEP = 100, 0.3


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def corpus(rows):
    i = np.arange(rows, dtype=np.uint64)
    byte = lambda k: (mix((i * np.uint64(8) + np.uint64(k + 1)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(56)).astype(np.uint8)
    s = np.stack([byte(0) < 152, byte(1) < 64, byte(2) < 60], axis=1)
    rate = lambda s, with_, without: np.where(s, with_, without)
    y = np.stack(
        [byte(3) < rate(s[:, 0], 46, 20), byte(4) < rate(s[:, 1], 26, 13), byte(5) < rate(s[:, 2], 5, 15), byte(6) < 26], axis=1
    )
    u = ((byte(7) >> 4) + 1).astype(np.float64) / 16
    return s.astype(np.float64), y.astype(np.float64), u


def rows_of_a(s, y):
    d = s - TARGETS
    outer = (d[:, :, None] * y[:, None, :]).reshape(len(s), -1)
    return np.concatenate([outer - EPSILON_D, -outer - EPSILON_D, d - EPSILON_R, -d - EPSILON_R], axis=1)


def fit(s, y, u):
    n = 2 * 3 * 5
    v, mu = np.zeros(n), 0.0
    squares = np.zeros(n)
    windows = [(np.zeros(n + 1), 0), (np.zeros(n + 1), 0)]
    floor = 0.25 / BATCH
    for t in range(1, len(s) // BATCH + 1):
        part = slice((t - 1) * BATCH, t * BATCH)
        a = rows_of_a(s[part], y[part])
        q = np.clip(ETA * u[part] - a @ v - mu, 0.0, CAP)
        squares += np.einsum("ij,ij->j", a, a)
        step = STEP / np.sqrt(t)
        v = np.clip(v + step * (q @ a / BATCH) / np.maximum(squares / (t * BATCH), floor), 0.0, LEVEL)
        mu += step * (q.mean() - ETA)
        if t & (t - 1) == 0:
            windows = [windows[1], (np.zeros(n + 1), 0)]
        sums, count = windows[1]
        sums[:n] += v
        sums[n] += mu
        windows[1] = (sums, count + 1)
    mean = (windows[0][0] + windows[1][0]) / (windows[0][1] + windows[1][1])
    return mean[:n]


def apply(s, y, u, v):
    # A million rows of `a` at once, then the mean by bisection.
    x = np.concatenate([ETA * u[i : i + 1_000_000] - rows_of_a(s[i : i + 1_000_000], y[i : i + 1_000_000]) @ v for i in range(0, len(s), 1_000_000)])
    low, high = x.min() - CAP, x.max()
    for _ in range(40):
        mu = (low + high) / 2
        low, high = (mu, high) if np.clip(x - mu, 0.0, CAP).mean() >= ETA else (low, mu)
    return np.clip(x - low, 0.0, CAP)


def bias(s, y, q):
    weight = q.sum()
    mean = q @ s / weight
    pairs = (s * q[:, None]).T @ y / weight
    labels = q @ y / weight
    gaps = pairs / mean[:, None] - (labels[None, :] - pairs) / (1 - mean)[:, None]
    moments = pairs - TARGETS[:, None] * labels[None, :]
    return np.abs(mean - TARGETS).max(), np.abs(gaps).max(), np.abs(moments).max()


def main():
    s, y, utilities = corpus(ROWS)
    before = bias(s, y, np.ones(ROWS))
    for name, u in [("u = 1", np.ones(ROWS)), ("16 utilities", utilities)]:
        start = time.perf_counter()
        v = fit(s, y, u)
        fitted = time.perf_counter()
        q = apply(s, y, u, v)
        done = time.perf_counter()
        after = bias(s, y, q)
        print(f"  numpy: update {fitted - start:.3f} s, mean and apply {done - fitted:.3f} s")
        print(
            f"numpy streaming, {name}: {done - start:.3f} s, {ROWS / (done - start) / 1e6:.2f} M rows/s; "
            f"RB {before[0]:.6f} -> {after[0]:.6f}, AB {before[1]:.6f} -> {after[1]:.6f}, "
            f"largest moment {after[2]:.6f}, mean weight {q.mean():.9f}"
        )


if __name__ == "__main__":
    main()

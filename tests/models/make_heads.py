#!/usr/bin/env python3
"""Makes small heads with PyTorch, and the scores that PyTorch gives them.

    python tests/models/make_heads.py

writes `embeddings/tests/golden/heads/`: weights as safetensors and as `torch.save` writes them, the JSON beside them
where a head needs one, and `scores.json`. The heads that are known by their published shape are too large for a
repository; their weights follow a formula (`value`), which the test in `embeddings/src/heads/tests.rs` repeats.
Needs torch, numpy and safetensors.
"""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).resolve().parents[2] / "embeddings" / "tests" / "golden" / "heads"
MASK = (1 << 32) - 1


def value(salt, count, scale):
    """Numbers in -scale to scale from an integer hash: the same in Rust, bit for bit."""
    i = np.arange(count, dtype=np.uint64)
    x = (i * np.uint64(2654435761) + np.uint64(salt * 40503)) & np.uint64(MASK)
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(2246822519)) & np.uint64(MASK)
    x = x ^ (x >> np.uint64(13))
    return ((x.astype(np.float64) / 2.0**31 - 1.0) * scale).astype(np.float32)


def rows(count, dim):
    """Embeddings of length 1."""
    x = value(7, count * dim, 1.0).reshape(count, dim).astype(np.float64)
    return torch.from_numpy((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))


def fill(model):
    """Gives every parameter and statistic, in order of the state dict, values by the formula."""
    state = OrderedDict()
    for salt, (name, tensor) in enumerate(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            state[name] = tensor
            continue
        scale = (3.0 / tensor.shape[1]) ** 0.5 if tensor.dim() == 2 else 0.5
        values = torch.from_numpy(value(salt, tensor.numel(), scale)).reshape(tensor.shape)
        # A variance is positive, and an embedding's is small.
        state[name] = values.abs() * 0.02 + 0.001 if name.endswith("var") else values
    model.load_state_dict(state)
    return model.eval()


def mlp(widths, steps):
    """`layers` as published: linear layers with the given modules after each."""
    modules = []
    for at, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        modules.append(nn.Linear(inputs, outputs))
        modules.extend(steps[at] if at < len(steps) else [])
    model = nn.Module()
    model.layers = nn.Sequential(*modules)
    model.forward = lambda x: model.layers(x)
    return model


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    scores = {}
    drop, relu = nn.Dropout(0.2), nn.ReLU()

    def keep(name, model, dim, pick=lambda y: y[:, 0]):
        with torch.no_grad():
            scores[name] = [float(s) for s in pick(model(rows(3, dim)))]

    def config(name, **keys):
        (OUT / f"{name}.json").write_text(json.dumps(keys) + "\n")

    # Weights in the repository.
    linear = fill(nn.Linear(8, 1))
    torch.save(linear.state_dict(), OUT / "linear.pth")
    save_file(linear.state_dict(), OUT / "linear.safetensors")
    keep("linear", linear, 8)

    small = fill(mlp([8, 6, 5, 1], [[nn.GELU(), drop], [nn.GELU(), drop]]))
    torch.save({"epoch": 3, "state_dict": small.state_dict()}, OUT / "gelu.ckpt")
    config("gelu", activation="gelu", output="sigmoid")
    keep("gelu", small, 8, lambda y: y[:, 0].sigmoid())

    each = fill(mlp([8, 6, 5, 4, 3, 3], [[nn.SiLU()], [nn.Tanh()], [nn.Sigmoid()], [nn.GELU(approximate="tanh")]]))
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in each.state_dict().items()}, OUT / "each.safetensors")
    config("each", activation=["silu", "tanh", "sigmoid", "gelu_tanh"], output="softmax", **{"class": 1})
    each.load_state_dict({name: tensor.to(torch.bfloat16).float() for name, tensor in each.state_dict().items()})
    keep("each", each, 8, lambda y: y.softmax(1)[:, 1])

    norm = fill(nn.Sequential(OrderedDict([("norm", nn.BatchNorm1d(8)), ("dense", nn.Linear(8, 4)), ("relu", relu), ("dense1", nn.Linear(4, 1))])))
    save_file(norm.state_dict(), OUT / "batchnorm.safetensors")
    config("batchnorm", activation="relu")
    keep("batchnorm", norm, 8)

    # Known by their shape; weights by the formula.
    v2 = fill(mlp([768, 1024, 128, 64, 16, 1], [[drop], [drop], [drop], []]))
    assert [n for n in v2.state_dict() if n.endswith("weight")] == [f"layers.{i}.weight" for i in (0, 2, 4, 6, 7)]
    keep("aesthetic-v2", v2, 768)
    h14 = fill(mlp([1024, 1024, 2048, 1024, 256, 128, 16, 1], [[relu, drop]] * 5 + [[]]))
    assert [n for n in h14.state_dict() if n.endswith("weight")] == [f"layers.{i}.weight" for i in (0, 3, 6, 9, 12, 15, 16)]
    keep("h14-nsfw", h14, 1024)
    names = ["norm", "dense", "relu", "dense1", "relu1", "dense2", "relu2", "dense3", "sigmoid"]
    parts = [nn.BatchNorm1d(768, eps=0.0), nn.Linear(768, 64), relu, nn.Linear(64, 512), relu, nn.Linear(512, 256), relu, nn.Linear(256, 1), nn.Sigmoid()]
    keep("l14-nsfw", fill(nn.Sequential(OrderedDict(zip(names, parts)))), 768)

    (OUT / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()

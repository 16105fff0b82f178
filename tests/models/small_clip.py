"""Measures the small CLIP with `transformers` on the files that `train_small_clip --pairs FOLDER` wrote.

    cargo run --release -p trommel --example train_small_clip -- --evaluate MODEL --held-out 200 --pairs FOLDER
    python tests/models/small_clip.py MODEL FOLDER

Prints the area under the ROC curve of right over wrong captions, overall and by language, and how far the cosines are from
those in `pairs.tsv`. Exits with 1 where an area is below 0.97 or a cosine is off by more than 0.01. The pictures are read and
resized by PIL here and by the `image` crate there, so the cosines are near, not equal.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel, CLIPTokenizerFast, PreTrainedTokenizerFast

AREA = 0.97
COSINE = 0.01


def area(right, wrong):
    """Mann and Whitney's U as a share; a tie counts half."""
    wrong = np.sort(wrong)
    below = np.searchsorted(wrong, right, "left")
    upto = np.searchsorted(wrong, right, "right")
    return float((below + upto).sum() / 2 / len(right) / len(wrong))


def on_white(path):
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")


def unit(rows):
    rows = getattr(rows, "pooler_output", rows)
    return torch.nn.functional.normalize(rows.float(), dim=-1)


def main(folder, pairs):
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPImageProcessor.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [line.split("\t") for line in (pairs / "pairs.tsv").read_text("utf-8").splitlines()]
    names = sorted({row[0] for row in rows})
    texts = [text for row in rows for text in row[2:4]]
    context = model.config.text_config.max_position_embeddings
    given = dict(padding=True, truncation=True, max_length=context)
    ids = tokenizer(texts, **given)["input_ids"]
    for other in (CLIPTokenizerFast, PreTrainedTokenizerFast):
        same = other.from_pretrained(folder)(texts, **given)["input_ids"]
        print(f"{other.__name__} gives the same ids: {same == ids}")

    def encode(items, size, vectors):
        with torch.inference_mode():
            return torch.cat([unit(vectors(items[at : at + size])) for at in range(0, len(items), size)])

    pictures = encode(
        names,
        100,
        lambda some: model.get_image_features(
            **processor(images=[on_white(pairs / name) for name in some], return_tensors="pt")
        ),
    )
    captions = encode(
        texts, 500, lambda some: model.get_text_features(**tokenizer(some, return_tensors="pt", **given))
    )
    at = {name: number for number, name in enumerate(names)}
    pictures = pictures[[at[row[0]] for row in rows]]
    right = (pictures * captions[0::2]).sum(-1).numpy()
    wrong = (pictures * captions[1::2]).sum(-1).numpy()
    langs = np.array([row[1] for row in rows])
    areas = {"all": area(right, wrong)}
    for lang in dict.fromkeys(langs):
        areas[lang] = area(right[langs == lang], wrong[langs == lang])
    for lang, value in areas.items():
        print(f"{lang:4} {value:.4f}")
    ours = np.array([[float(value) for value in row[4:6]] for row in rows])
    off = np.abs(ours - np.stack([right, wrong], 1))
    print(f"our area on the same pairs {area(ours[:, 0], ours[:, 1]):.4f}")
    print(f"cosines off by at most {off.max():.5f}, {off.mean():.6f} on average")
    return min(areas.values()) >= AREA and off.max() <= COSINE


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), Path(sys.argv[2])) else 1)

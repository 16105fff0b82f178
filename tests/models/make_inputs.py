"""Reference inputs of models: pixels and token ids of transformers and open_clip.

    python make_inputs.py golden             # writes embeddings/tests/golden/inputs and the table of entities
    python make_inputs.py peer OUT [PHOTOS]  # pixels of real photos and ids of full-size vocabularies, for the peer test

Needs transformers, open_clip, torchvision, sentencepiece, tokenizers. Everything is generated: pictures by a formula that
the test knows too, vocabularies by training on the texts below.
"""
import gzip
import html.entities
import json
import os
import random
import struct
import sys
import tempfile
import warnings

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "embeddings")
GOLDEN = os.path.join(ROOT, "tests", "golden", "inputs")

# ---------------------------------------------------------------- pictures


def picture(width, height):
    """Smooth slopes, hard edges and noise; the test has the same formula."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32), np.arange(3, dtype=np.uint32), indexing="ij")
    with np.errstate(over="ignore"):
        slope = (x * x * np.uint32(3) + y * y * np.uint32(5) + x * y * (c + np.uint32(1))) // np.uint32(64)
        noise = ((x * np.uint32(73856093)) ^ (y * np.uint32(19349663)) ^ (c * np.uint32(83492791))) >> np.uint32(8)
        return ((slope + noise % np.uint32(32)) % np.uint32(256)).astype(np.uint8)


SIZES = [(64, 48), (37, 61), (20, 20), (7, 5), (1, 1), (1, 300), (300, 1), (101, 33)]
CLIP = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
TRANSFORMERS = [
    ("CLIPImageProcessor", {"size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}}),
    ("CLIPImageProcessorFast", {"size": 16, "crop_size": 21, "resample": 2}),
    ("CLIPFeatureExtractor", {"size": 18, "crop_size": 15, "resample": 3, "image_mean": CLIP["mean"], "image_std": CLIP["std"]}),
    ("CLIPImageProcessor", {"size": {"height": 17, "width": 17}, "do_center_crop": False, "resample": 1}),
    ("CLIPImageProcessor", {"do_resize": False, "crop_size": 14, "do_rescale": False}),
    ("SiglipImageProcessor", {"size": {"height": 18, "width": 18}}),
    ("SiglipImageProcessorFast", {"size": {"height": 16, "width": 16}, "resample": 2, "rescale_factor": 0.00784313725490196}),
    ("SiglipImageProcessor", {"size": {"height": 12, "width": 12}, "resample": 0, "do_normalize": False}),
    ("Siglip2ImageProcessor", {"patch_size": 4, "max_num_patches": 36}),
    ("Siglip2ImageProcessorFast", {"patch_size": 3, "max_num_patches": 17, "resample": 3}),
]
OPEN_CLIP = [
    {"size": 20},
    {"size": 15, "interpolation": "bilinear", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    {"size": 16, "resize_mode": "squash", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    {"size": 17, "resize_mode": "longest", "fill_color": 127},
    {"size": 20, "resize_mode": "longest", "interpolation": "bilinear"},
]


def transformers_processor(kind, config):
    import transformers

    name = kind.replace("Fast", "").replace("FeatureExtractor", "ImageProcessor")
    return getattr(transformers, name)(**config)


def transformers_pixels(processor, pixels):
    from PIL import Image

    out = processor(images=[Image.fromarray(pixels)], return_tensors="pt")
    values = out["pixel_values"][0]
    if "spatial_shapes" in out:
        rows, columns = (int(n) for n in out["spatial_shapes"][0])
        return values[: rows * columns].numpy(), (rows, columns)
    return values.numpy(), None


def open_clip_pixels(config, pixels):
    from PIL import Image
    from open_clip.transform import PreprocessCfg, image_transform_v2

    return image_transform_v2(PreprocessCfg(**config), is_train=False)(Image.fromarray(pixels)).numpy()


def levels(values, scale, mean, std, channels_last):
    """8-bit levels under normalised values."""
    if mean is not None:
        shape = (-1,) if channels_last else (3, 1, 1)
        mean, std = np.array(mean).reshape(shape), np.array(std).reshape(shape)
        if channels_last:
            values = values.reshape(-1, 3)
        values = values * std + mean
    found = values / scale
    rounded = np.round(found)
    assert np.abs(found - rounded).max() < 1e-2, np.abs(found - rounded).max()
    return rounded.astype(np.uint8).reshape(-1)


def golden_pixels():
    blob, cases = bytearray(), []

    def add(layout, config, size, values, raw, shape):
        flat = values.reshape(-1).astype(np.float32)
        chosen = [(i * 7919) % len(flat) for i in range(6)]
        cases.append({"layout": layout, "config": config, "width": size[0], "height": size[1], "shape": shape,
                      "offset": len(blob), "samples": [[i, float(flat[i])] for i in chosen]})
        blob.extend(raw.tobytes())

    for kind, config in TRANSFORMERS:
        processor = transformers_processor(kind, config)
        for size in SIZES:
            values, shape = transformers_pixels(processor, picture(*size))
            normalize = config.get("do_normalize", True)
            mean = processor.image_mean if normalize else None
            factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
            raw = levels(values, factor, mean, processor.image_std, shape is not None)
            add("transformers", {"image_processor_type": kind, **config}, size, values, raw, shape or [values.shape[-1]])
    for config in OPEN_CLIP:
        for size in SIZES:
            if config.get("resize_mode") == "longest" and max(size) > 16 * min(size):
                continue  # the reference fails where a side rounds to nothing
            values = open_clip_pixels(config, picture(*size))
            mean, std = config.get("mean", CLIP["mean"]), config.get("std", CLIP["std"])
            raw = levels(values, 1 / 255, mean, std, False)
            add("open_clip", config, size, values, raw, [values.shape[-1]])
    with open(os.path.join(GOLDEN, "pixels.bin"), "wb") as f:
        f.write(blob)
    with open(os.path.join(GOLDEN, "pixels.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


# ---------------------------------------------------------------- captions

SENTENCES = [
    "a photo of a cat on a red chair", "two dogs play with a ball in the snow", "the old bridge over the river at night",
    "Eine Straße in München bei Regen", "un café près de la gare, l'été", "el niño juega al fútbol en la calle",
    "фотография старого дома у реки", "φωτογραφία ενός παλιού σπιτιού", "תמונה של חתול על כיסא", "صورة قطة على كرسي أحمر",
    "लाल कुर्सी पर बैठी बिल्ली की तस्वीर", "一只猫坐在红色的椅子上", "赤い椅子に座っている猫の写真", "빨간 의자에 앉은 고양이 사진",
    "ภาพถ่ายของแมวบนเก้าอี้สีแดง", "ảnh con mèo trên ghế đỏ", "სურათი კატა სკამზე", "կատվի լուսանկար աթոռին", "a dog's bowl, it's full; they're here",
    "shop now - 50% off! only $19.99", "IMG 2034 jpg 1920x1080",
]
TEXTS = SENTENCES + [
    "", " ", "\n\t ", "A", "a", "  leading and   inner   space  ", "tab\tand\nnew line\r\nend", "NUL \0 inside", "\u0000", "\x1c\x1d x \x1e\x1f",
    "UPPER lower MiXeD", "ΟΔΟΣ ΣΟΦΟΣ ΑΣ", "İstanbul DİYARBAKIR ıI", "ŒUVRE Æsop ß ẞ", "ſtraße 'ſ K Å",
    "don't they'll I'D we'Ve 'S 's' ''s", "snake_case_name and kebab-case", "!!! ??? ... ,,, ;;; --- ___", "a.b,c!d?e;f:g(h)i[j]k{l}",
    "100 1,000 3.14 ½ ² Ⅳ ٣٤ ४५ ①②", "😀 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️", "☃ ★ ♥ → ∑ ∞ ≠ €", "a\u0301 e\u0301 é ö o\u0308 n\u0303",
    "Å (U+212B) ﬁ ﬂ ﬃ Ｆｕｌｌｗｉｄｔｈ ｶﾞ　ideographic", "zero\u200bwidth\u200djoiner\ufeffbom\u00adshy", "nb\u00a0sp thin\u2009sp em\u2003sp line\u2028sep\u2029end\u0085next",
    "\u201ccurly\u201d \u2018quotes\u2019 \u2013 dash \u2014 em\u2026", "it&rsquo;s &amp; &lt;b&gt; &#8217; &#x1F600; &amp;amp; &nbsp; &NTILDE; &notit; &bogus;", "<p>markup &amp; more</p>",
    "http://example.com/a?b=c&d=e#f", "user@example.com", "C:\\path\\file \\u00e9 \\ud83d", "<|startoftext|> x <|endoftext|>", "<start_of_text> a <end_of_text>",
    "</s> start", "mid </s> dle", "<unk> u", "<eos> and <pad> and <bos>", "<EOS> </S> <|ENDOFTEXT|>", "\u2581under \u2581", "a\u2581b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "hahahahahahahahahahahahahaha", "00000000000000000000000", "==========", "ะะะะะะะะ", "xqzj wvkx", "ѣ ѳ ѵ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙", "𐎀𐎁 𓀀 𒀀 ᚠᚢ ꙮ",
    "བོད་ ᠮᠣᠩᠭᠣᠯ አማርኛ ខ្មែរ ລາວ မြန်မာ සිංහල தமிழ் తెలుగు ಕನ್ನಡ മലയാളം ਪੰਜਾਬੀ ગુજરાતી বাংলা ଓଡ଼ିଆ ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ߒߞߏ ꦗꦮ ᮞᮥᮔ᮪ᮓ",
    "\ufffd replacement \ud7ff \ue000 private \U0010ffff", "\x1b[31mred\x1b[0m text", "Ĳ ĳ ǆ ŉ",
    " ".join(SENTENCES[:4]), " ".join(SENTENCES), "word " * 90, "、".join(SENTENCES[11:13] * 8), "cat" * 200,
]
# Longer than any cut: repeated by the test as well.
REPEATED = [("a photo of a cat ", 3000), ("猫", 3000), ("x", 5000), ("café-1 ", 2000), ("ab  ", 2500), ("фото ", 1500), ("! ", 4000)]


def texts():
    return TEXTS + [text * times for text, times in REPEATED]


def corpus():
    """Sentences with varied words, so that merges and pieces are many."""
    rng, lines = random.Random(7), []
    words = [word for sentence in SENTENCES for word in sentence.split()]
    for _ in range(3000):
        lines.append(" ".join(rng.choice(words) for _ in range(rng.randint(3, 9))))
    return lines + SENTENCES * 20 + ["aa aaa aaaa haha hahaha 000 0000"] * 40


def clip_merges(count):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=600 + count, end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]][:count]


def clip_folder(folder, merges):
    """A CLIP vocabulary laid out as OpenAI's: letters, letters at the end of a word, merges, two special tokens."""
    from open_clip.tokenizer import bytes_to_unicode
    from transformers import CLIPTokenizer

    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges, model_max_length=77)
    tokenizer.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def simple_tokenizer(merges):
    from open_clip.tokenizer import SimpleTokenizer

    with tempfile.NamedTemporaryFile(suffix=".gz") as f:
        with gzip.open(f.name, "wb") as out:
            out.write("\n".join(["#version"] + [" ".join(pair) for pair in merges]).encode())
        return SimpleTokenizer(bpe_path=f.name)


RULES = """FF21 41;FF22 42;FF26 46;FF55 75;FF4C 6C;FF57 77;FF49 69;FF44 64;FF54 74;FF48 68;FB01 66 69;FB02 66 6C;FB03 66 66 69;A0 20;
2009 20;2003 20;3000 20;9 20;A 20;D 20;85 20;2028 20;2029 20;200B 20;FEFF 20;AD ;61 301 E1;65 301 E9;6F 308 F6;6E 303 F1;2026 2E 2E 2E;
BD 31 2044 32;B2 32;1F ;1 ;212B C5;41 30A C5"""


def train_spiece(path, vocabulary, rules):
    import sentencepiece

    with tempfile.TemporaryDirectory() as scratch:
        arguments = {}
        if rules:
            tsv = os.path.join(scratch, "rules.tsv")
            with open(tsv, "w") as f:
                for rule in RULES.replace("\n", "").split(";"):
                    head, *codes = rule.split(" ")
                    # "A B C": all but the last code are what is replaced, for pairs with a combining mark.
                    if len(codes) == 2 and codes[0] in ("301", "308", "303", "30A"):
                        f.write(f"{head} {codes[0]}\t{codes[1]}\n")
                    else:
                        f.write(f"{head}\t{' '.join(c for c in codes if c)}\n")
            arguments["normalization_rule_tsv"] = tsv
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()), model_prefix=os.path.join(scratch, "m"), vocab_size=vocabulary, model_type="unigram",
            character_coverage=0.995, pad_id=-1, bos_id=-1, eos_id=1, unk_id=2, num_threads=1, minloglevel=2,
            hard_vocab_limit=False, **arguments)
        with open(os.path.join(scratch, "m.model"), "rb") as f, open(path, "wb") as out:
            out.write(f.read())


def siglip_folder(folder, vocabulary, rules):
    from transformers import SiglipTokenizer

    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "spiece.model")
    train_spiece(path, vocabulary, rules)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "SiglipTokenizer", "do_lower_case": True, "eos_token": "</s>", "pad_token": "</s>",
                   "unk_token": "<unk>", "model_max_length": 64}, f)
    return SiglipTokenizer.from_pretrained(folder)


def siglip2_folder(folder, count):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import Siglip2Tokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=count))
    model = json.loads(tokenizer.to_str())["model"]
    words = special + [f"<0x{byte:02X}>" for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
    tokenizer = Siglip2Tokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[tuple(pair) for pair in model["merges"]],
                                 padding_side="right", model_max_length=64)
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.save_pretrained(folder)
    return Siglip2Tokenizer.from_pretrained(folder)


def encode(tokenizer, context):
    """One text at a time: what fails in the reference is left out (None)."""
    rows = []
    for text in texts():
        try:
            row = tokenizer([text], padding="max_length", truncation=True, max_length=context)["input_ids"][0]
            assert len(row) == context, (len(row), text[:40])
            rows.append(row)
        except UnicodeEncodeError:
            rows.append(None)
    return rows


def golden_tokens():
    merges = clip_merges(500)
    cases = []

    def add(folder, layout, family, context, clean, rows):
        # Trailing repetitions of the last id are cut: the test fills them up again.
        def short(row):
            row = [int(i) for i in row]
            while len(row) > 1 and row[-1] == row[-2]:
                row.pop()
            return row
        cases.append({"folder": folder, "layout": layout, "family": family, "context": context, "clean": clean,
                      "ids": [short(row) for row in rows]})

    clip = clip_folder(os.path.join(GOLDEN, "clip"), merges)
    add("clip", "transformers", "clip", 77, None, encode(clip, 77))
    simple = simple_tokenizer(merges)
    rows = [simple([text])[0].tolist() for text in texts()]
    add("clip", "open_clip", "clip", 77, "lower", rows)
    siglip = siglip_folder(os.path.join(GOLDEN, "siglip"), 420, True)
    add("siglip", "transformers", "siglip", 64, None, encode(siglip, 64))
    siglip2 = siglip2_folder(os.path.join(GOLDEN, "siglip2"), 500)
    add("siglip2", "transformers", "siglip2", 64, None, encode(siglip2, 64))
    with open(os.path.join(GOLDEN, "tokens.json"), "w") as f:
        head = {"texts": TEXTS, "repeated": REPEATED}
        f.write(json.dumps(head, ensure_ascii=True)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n")
    for folder in ("clip", "siglip2"):
        path = os.path.join(GOLDEN, folder, "tokenizer.json")
        with open(path) as f:
            value = json.load(f)
        with open(path, "w") as f:
            json.dump(value, f, ensure_ascii=True, separators=(",", ":"))


def entities():
    with open(os.path.join(ROOT, "src", "tokenizer", "entities.txt"), "w", encoding="ascii") as f:
        for name, value in sorted(html.entities.html5.items()):
            f.write(name + " " + " ".join("%X" % ord(c) for c in value) + "\n")


# ---------------------------------------------------------------- peer


PEER = [
    ("transformers", "CLIPImageProcessor", {}),
    ("transformers", "SiglipImageProcessor", {}),
    ("transformers", "SiglipImageProcessor", {"resample": 2, "size": {"height": 256, "width": 256}}),
    ("transformers", "Siglip2ImageProcessor", {}),
    ("open_clip", None, {"size": 224}),
    ("open_clip", None, {"size": 224, "resize_mode": "squash", "mean": [0.5] * 3, "std": [0.5] * 3}),
    ("open_clip", None, {"size": 384, "resize_mode": "longest", "interpolation": "bilinear"}),
    ("pillow", "CLIPImageProcessorPil", {}),
    ("pillow", "Siglip2ImageProcessorPil", {}),
]


def peer(out, photos):
    """`index.json`, raw pictures `N.rgb`, reference values `N-M.f32`; folders of tokenizers with `tokens.json`."""
    import time

    import transformers
    from PIL import Image

    index = []
    found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(photos or "/nonexistent") for name in names
                   if name.lower().endswith((".png", ".jpg", ".jpeg")) and "photos-" in folder)
    for number, path in enumerate(found[:40]):
        try:
            image = Image.open(path).convert("RGB")
        except Exception:
            continue
        if image.width * image.height > 4_000_000:
            continue
        pixels = np.asarray(image)
        pixels.tofile(os.path.join(out, f"{number}.rgb"))
        for variant, (layout, kind, config) in enumerate(PEER):
            if layout == "open_clip":
                values, shape = open_clip_pixels(config, pixels), None
            elif layout == "pillow":
                values, shape = transformers_pixels(getattr(transformers, kind)(**config), pixels)
            else:
                values, shape = transformers_pixels(transformers_processor(kind, config), pixels)
            values.astype("<f4").tofile(os.path.join(out, f"{number}-{variant}.f32"))
            full = config if kind is None else {"image_processor_type": kind, **config}
            index.append({"picture": number, "variant": variant, "layout": layout, "config": full, "width": image.width,
                          "height": image.height, "shape": shape or [values.shape[-1]]})
    rate = {}
    if index:
        from open_clip.transform import PreprocessCfg, image_transform_v2
        transform = image_transform_v2(PreprocessCfg(size=224), is_train=False)
        image = Image.fromarray(picture(512, 384))
        start = time.perf_counter()
        for _ in range(200):
            transform(image)
        rate = {"pillow_per_second": 200 / (time.perf_counter() - start)}
    cases = []
    import open_clip.tokenizer as reference

    with gzip.open(reference.default_bpe()) as f:
        merges = [tuple(line.split()) for line in f.read().decode().split("\n")[1:49152 - 256 - 2 + 1]]
    folder = os.path.join(out, "clip")
    clip = clip_folder(folder, merges)
    cases.append({"folder": "clip", "layout": "transformers", "family": "clip", "context": 77, "clean": None, "ids": encode(clip, 77)})
    simple = reference.SimpleTokenizer()
    cases.append({"folder": "clip", "layout": "open_clip", "family": "clip", "context": 77, "clean": "lower",
                  "ids": [simple([text])[0].tolist() for text in texts()]})
    siglip = siglip_folder(os.path.join(out, "siglip"), 900, False)
    cases.append({"folder": "siglip", "layout": "transformers", "family": "siglip", "context": 64, "clean": None, "ids": encode(siglip, 64)})
    with open(os.path.join(out, "tokens.json"), "w") as f:
        json.dump({"texts": TEXTS, "repeated": REPEATED, "cases": cases}, f)
    with open(os.path.join(out, "index.json"), "w") as f:
        json.dump({"pictures": index, **rate}, f)


if __name__ == "__main__":
    if sys.argv[1:2] == ["golden"]:
        os.makedirs(GOLDEN, exist_ok=True)
        entities()
        golden_pixels()
        golden_tokens()
    elif sys.argv[1:2] == ["peer"] and len(sys.argv) in (3, 4):
        peer(sys.argv[2], sys.argv[3] if len(sys.argv) == 4 else None)
    else:
        sys.exit(__doc__)

"""Every baseline of DataComp: `trommel select` against a plain Python version of its rules, over generated metadata.

The rules are those of DataComp's `baselines.py` and `apply_filter.py`, written from their description: fastText's language
model, `str.split`, thresholds over the whole pool, WordNet through NLTK, the nearest centroid in single precision. What a
baseline stands on and cannot be downloaded is made here: a small language model, a WordNet in Princeton's format, centroids.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import peer

peer.enter("fasttext", "nltk", "numpy", "pyarrow")

import fasttext
import nltk
import numpy
import pyarrow
import pyarrow.parquet as parquet

WORDS = {
    "en": "the a of dog cats house running red flower beach with photo Great mountain city and in bottle guitar played".split(),
    "de": "der die das ein Hund Katzen Haus rennt rote Blume Strand mit Foto Berg Stadt und im Flasche Gitarre".split(),
    "fr": "le la les un chien chats maison court rouge fleur plage avec photo montagne ville et dans bouteille".split(),
    "zh": "一座 房子 红色 狗 猫 在 海滩 照片 山 城市 花 瓶子 吉他 和".split(),
}


def captions(count, seed):
    """Captions in four languages, of 0 to 14 words, with odd white space, punctuation and emoji."""
    rng = numpy.random.default_rng(seed)
    extra = ["", " ", "  ", "\t", "\u00a0", "\n", ",", "!", "🙂", "é", "\u2028", "x.", "(dog)", "Dogs", "FLOWERS", "ran", "geese"]
    languages = list(WORDS)
    rows = []
    for _ in range(count):
        words = WORDS[languages[rng.integers(len(languages))]]
        length = int(rng.integers(0, 15))
        text = " ".join(words[i] for i in rng.integers(0, len(words), length))
        if rng.random() < 0.3:
            text += extra[rng.integers(len(extra))]
        if rng.random() < 0.1:
            text = extra[rng.integers(len(extra))] + text
        rows.append(text)
    return rows


def language_model(folder):
    """A supervised model of four languages: what decides is the same file for both programs."""
    text = folder / "train.txt"
    with open(text, "w") as file:
        for at in range(4000):
            language = list(WORDS)[at % 4]
            words = WORDS[language]
            line = " ".join(words[(at * 7 + k * k) % len(words)] for k in range(1 + at % 9))
            file.write(f"__label__{language} {line}\n")
    model = fasttext.train_supervised(str(text), dim=8, epoch=3, minn=2, maxn=4, bucket=2000, thread=1, verbose=0)
    path = folder / "lid.bin"
    model.save_model(str(path))
    return path, model


# Lemma, part of speech, offset; the first line of a lemma is its first meaning.
SENSES = [
    ("dog", "n", 2084071), ("dog", "v", 2001858), ("cat", "n", 2121620), ("house", "n", 3544360), ("run", "v", 1926311),
    ("run", "n", 559123), ("red", "a", 381097), ("red", "n", 4962784), ("flower", "n", 11669921), ("beach", "n", 9217230),
    ("mountain", "n", 9359803), ("guitar", "n", 3467517), ("goose", "n", 1855672), ("bottle", "n", 2876657), ("play", "v", 1072949),
    ("in", "r", 233621), ("great", "a", 1386883), ("photo", "n", 3925226), ("a", "n", 13637376),
]
CONCEPTS = [2084071, 3544360, 11669921, 1855672, 381097, 1926311]


def wordnet(folder):
    """A WordNet `dict` in Princeton's format."""
    folder.mkdir()
    names = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
    licence = "".join(f"  {line} This is a generated dictionary.  \n" for line in range(1, 30))
    offsets = {}
    for part, name in names.items():
        senses = [sense for sense in SENSES if sense[1] == part]
        # NLTK finds a synset by seeking to its offset: a data file is as long as the largest of them.
        with open(folder / f"data.{name}", "wb") as data:
            data.write(licence.encode())
            for lemma, _, offset in sorted(senses, key=lambda sense: sense[2]):
                data.seek(offset)
                data.write(f"{offset:08d} 03 {part} 01 {lemma} 0 000 | a {lemma}  \n".encode())
        with open(folder / f"index.{name}", "w") as index:
            index.write(licence)
            by_lemma = {}
            for lemma, _, offset in senses:
                by_lemma.setdefault(lemma, []).append(offset)
            for lemma, found in sorted(by_lemma.items()):
                listed = " ".join(f"{offset:08d}" for offset in found)
                index.write(f"{lemma} {part} {len(found)} 0 {len(found)} 0 {listed}  \n")
        (folder / f"{name}.exc").write_text({"n": "geese goose\n", "v": "ran run\n"}.get(part, ""))
    (folder / "lexnames").write_text("".join(f"{at:02d}\tnoun.Tops\t1\n" for at in range(45)))
    return offsets


def uid_of(url, text):
    return hashlib.blake2b(f"{url}\0{text}".encode(), digest_size=16).hexdigest()


def metadata(folder, texts, seed, files):
    rng = numpy.random.default_rng(seed)
    folder.mkdir()
    tables = []
    for number, part in enumerate(numpy.array_split(numpy.arange(len(texts)), files)):
        count = len(part)
        mine = [texts[row] for row in part]
        urls = [f"https://h{row % 97}.example.org/{row}.jpg" for row in part]
        columns = {
            "uid": [uid_of(url, text) for url, text in zip(urls, mine)],
            "url": urls,
            "text": mine,
            "original_width": rng.integers(40, 1400, count),
            "original_height": rng.integers(40, 1400, count),
            "clip_b32_similarity_score": rng.normal(0.24, 0.05, count).astype("float32").round(3),
            "clip_l14_similarity_score": rng.normal(0.2, 0.06, count).astype("float32").round(3),
        }
        stem = hashlib.md5(str(number).encode()).hexdigest()
        parquet.write_table(pyarrow.table(columns), folder / f"{stem}.parquet", row_group_size=5000)
        vectors = rng.normal(size=(count, 16)).astype("float32")
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        # Half of the files in half precision, half of them deflated: both are met.
        save = numpy.savez_compressed if number % 2 else numpy.savez
        vectors = vectors.astype("float16") if number % 3 else vectors
        save(folder / f"{stem}.npz", l14_img=vectors, b32_img=vectors[:, :8])
        tables.append((columns, vectors))
    return tables


class Rules:
    """The baselines, row by row."""

    def __init__(self, model, dictionary, centroids, targets):
        self.model, self.centroids = model, centroids
        class Reader(nltk.corpus.reader.wordnet.WordNetCorpusReader):
            def map_wn30(self):
                """Numbers of another WordNet, which nobody asks for, would be looked up in a corpus that is not here."""
                return {}

        reader = Reader(str(dictionary), omw_reader=None)
        self.synsets = reader.synsets
        self.concepts = set(CONCEPTS)
        self.known = {}
        self.marked = set((targets @ centroids.T).argmax(axis=1).tolist())

    def english(self, text):
        label = self.model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
        return bool(label) and label[0][1] == "__label__en"

    def first_offset(self, word):
        if word not in self.known:
            found = self.synsets(word)
            self.known[word] = found[0].offset() if found else None
        return self.known[word]

    def keeps(self, name, table, threshold):
        columns, vectors = table
        texts, widths, heights = columns["text"], columns["original_width"], columns["original_height"]
        count = len(texts)
        scores = columns["clip_l14_similarity_score"]
        if name == "no_filter":
            return [True] * count
        if name == "clip_score":
            return list(scores >= threshold)
        if name == "laion2b":
            return [bool(b32 >= 0.28) and self.english(text) for b32, text in zip(columns["clip_b32_similarity_score"], texts)]
        if name == "basic_filter":
            return [
                len(text.split()) > 2 and len(text) > 5 and min(w, h) >= 200 and max(w, h) / min(w, h) <= 3.0 and self.english(text)
                for text, w, h in zip(texts, widths, heights)
            ]
        if name == "text_based":
            return [
                self.english(text) and any(self.first_offset(word) in self.concepts for word in text.split() if self.first_offset(word))
                for text in texts
            ]
        nearest = (vectors.astype("float32") @ self.centroids.T).argmax(axis=1)
        near = [int(cluster) in self.marked for cluster in nearest]
        ok = [near and len(text) > 5 and len(fasttext.tokenize(text)) > 1 and self.english(text) for near, text in zip(near, texts)]
        if name == "image_based":
            return ok
        return [a and bool(b) for a, b in zip(ok, scores >= threshold)]


def main():
    parser = peer.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--captions", help="a file of captions, one a line; every second row has one of them")
    arguments = parser.parse_args()
    fasttext.FastText.eprint = lambda *_: None
    with peer.folder() as folder:
        folder = pathlib.Path(folder)
        texts = captions(arguments.rows, 1)
        if arguments.captions:
            with open(arguments.captions, encoding="utf-8") as file:
                real = [line.rstrip("\n") for line in file]
            texts = [real[at % len(real)] if at % 2 else text for at, text in enumerate(texts)]
        lid, model = language_model(folder)
        wordnet(folder / "dict")
        (folder / "ids.txt").write_text("".join(f"n{offset:08d}\n" for offset in CONCEPTS))
        tables = metadata(folder / "meta", texts, 2, 4)
        rng = numpy.random.default_rng(3)
        centroids = rng.normal(size=(50, 16)).astype("float32")
        targets = rng.normal(size=(40, 16)).astype("float32")
        numpy.save(folder / "centroids.npy", centroids)
        numpy.save(folder / "targets.npy", targets)
        rules = Rules(model, folder / "dict", centroids, targets)
        pool = numpy.sort(numpy.concatenate([columns["clip_l14_similarity_score"] for columns, _ in tables]))[::-1]
        fraction = 0.3
        threshold = pool[int(len(pool) * fraction)]
        assets = {
            "no_filter": [],
            "basic_filter": ["--lid-model", lid],
            "clip_score": ["--fraction", "0.3"],
            "laion2b": ["--lid-model", lid],
            "text_based": ["--lid-model", lid, "--wordnet", folder / "dict", "--imagenet-ids", folder / "ids.txt"],
            "image_based": ["--lid-model", lid, "--centroids", folder / "centroids.npy", "--targets", folder / "targets.npy"],
        }
        assets["image_based_intersect_clip_score"] = assets["image_based"] + ["--fraction", "0.3"]
        pair = numpy.dtype("u8,u8")
        for name, flags in assets.items():
            uids = []
            for table in tables:
                kept = rules.keeps(name, table, threshold)
                uids += [uid for uid, keep in zip(table[0]["uid"], kept) if keep]
            theirs = numpy.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in uids], dtype=pair)
            theirs.sort()
            output = folder / f"{name}.npy"
            command = [arguments.binary, "select", folder / "meta", "-o", output, "--baseline", name, *flags, "--json"]
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
            assert done.returncode == 0, done.stderr
            report = json.loads(done.stdout)
            ours = numpy.load(output)
            assert ours.dtype == pair, ours.dtype
            assert len(uids) == len(set(uids)), "generated uids are distinct"
            if not numpy.array_equal(ours, theirs):
                a, b = set(ours.tolist()), set(theirs.tolist())
                texts = {tuple([int(uid[:16], 16), int(uid[16:], 16)]): text for columns, _ in tables for uid, text in zip(columns["uid"], columns["text"])}
                odd = [(("ours" if uid in a else "theirs"), texts[uid]) for uid in list(a ^ b)[:10]]
                sys.exit(f"{name}: {len(ours)} of ours, {len(theirs)} of theirs; {odd}")
            path = folder / "theirs.npy"
            numpy.save(path, theirs)
            assert path.read_bytes() == output.read_bytes(), f"{name}: the same uids, other bytes"
            assert report["funnel"]["kept"] == len(theirs) and report["balances"]
            print(f"{name}: {len(theirs)} of {len(pool)} rows, the same npy to the byte")


main()

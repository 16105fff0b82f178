"""The first synset of each word as nltk finds it in a WordNet directory.

    python wordnet_check.py DIRECTORY < words

Prints `until_found` or `once` (how this nltk strips endings), then for each word the offset of its first synset, or `-`. The test of
`concepts::wordnet` compares its own answers with these.
"""

import sys
import warnings

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader


class Dictionary(WordNetCorpusReader):
    """Without the mapping to nltk's own WordNet, which a dictionary made for a test cannot have; `synsets` has no use for it."""

    def map_wn(self, version="wordnet"):
        return None

    def map_wn30(self):
        return None


def main():
    warnings.simplefilter("ignore")
    # Newer releases read below nltk's data folders only.
    nltk.data.path.append(sys.argv[1])
    wordnet = Dictionary(sys.argv[1], omw_reader=None)
    major, minor = (int(part) for part in nltk.__version__.split(".")[:2])
    print("until_found" if (major, minor) < (3, 9) else "once")
    for line in sys.stdin.buffer.read().decode().split("\n"):
        synsets = wordnet.synsets(line)
        print(synsets[0].offset() if synsets else "-")


main()

"""Substring matching the way MetaCLIP does it in Python: spacing by replacement, pyahocorasick over the spaced text, a set of ids.

    python metaclip_pyahocorasick.py FOLDER

FOLDER holds entries.json (a JSON list) and captions.txt (one a line), as `benches/metaclip.rs` writes them. Prints the sum of
matches and the megabytes of captions per second; building the automaton is not counted. Seconds are those on a
core, as in the bench.
"""

import json
import sys
import time
from pathlib import Path

import ahocorasick


def spacing(text):
    text = " " + text + " "
    for mark in ",.;:?!`":
        text = text.replace(mark, " " + mark + " ")
    for space in "\t\n\r":
        text = text.replace(space, " ")
    return text


def main():
    folder = Path(sys.argv[1])
    entries = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
    automaton = ahocorasick.Automaton()
    for number, entry in enumerate(entries):
        automaton.add_word(" " + entry + " ", number)
    automaton.make_automaton()
    with open(folder / "captions.txt", encoding="utf-8", newline="\n") as file:
        captions = [line.removesuffix("\n") for line in file]
    size = sum(len(caption.encode()) for caption in captions)
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        matches = 0
        for caption in captions:
            ids = set()
            for _end, number in automaton.iter(spacing(caption)):
                ids.add(number)
            matches += len(ids)
        best = min(best, time.process_time() - start)
    print(matches, size / 1e6 / best)


main()

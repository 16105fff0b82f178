"""Near-copies and leaks end to end: `trommel hash`, `select --near pictures`, `select --decontaminate`, on pictures with known copies.

    python tests/peers/near_pictures.py FOLDER
    python tests/bench/near_job.py TROMMEL FOLDER WORK [OTHERS]

OTHERS: pictures of another seed, none of which has to do with those of FOLDER. Printed: for each kind of copy how many share the group of their original, and how many are found when the originals are an evaluation
set; pairs of different pictures in one group, and false alarms; seconds. Needs pyarrow.
"""

import collections
import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import time

import pyarrow
import pyarrow.parquet as parquet

trommel, folder, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
SHARD = 2000


def listed(folder, prefix):
    rows = list(csv.DictReader(open(folder / "truth.csv", newline="")))
    for row in rows:
        row["path"], row["original"] = folder / row["file"], prefix + row["original"]
        row["uid"] = hashlib.blake2b((prefix + row["file"]).encode(), digest_size=16).hexdigest()
    return rows


rows = listed(folder, "") + [row for more in sys.argv[4:5] for row in listed(pathlib.Path(more), "other-")]
of_uid = {row["uid"]: row for row in rows}
copies = collections.Counter(row["original"] for row in rows)

shards = work / "shards"
shards.mkdir(parents=True, exist_ok=True)
for at in range(0, len(rows), SHARD):
    part = rows[at : at + SHARD]
    table = pyarrow.table(
        {
            "uid": [row["uid"] for row in part],
            "url": [f"https://example.org/{row['file']}" for row in part],
            "text": [row["file"] for row in part],
            "jpg": pyarrow.array([row["path"].read_bytes() for row in part], pyarrow.binary()),
        }
    )
    parquet.write_table(table, shards / f"{at // SHARD:05d}.parquet")


def run(*arguments):
    started = time.perf_counter()
    done = subprocess.run([trommel, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return time.perf_counter() - started, done.stdout


seconds, _ = run("hash", shards, "-o", work / "hashed", "--hashes", "pdq,near,pixels", "--fresh")
print(f"hash: {len(rows)} pictures decoded and hashed in {seconds:.1f} s, {len(rows) / seconds:.0f}/s")

seconds, out = run("select", work / "hashed", "-o", work / "near.parquet", "--near", "pictures", "--near-keep-all", "--no-pass-rates", "--json")
groups = collections.defaultdict(list)
for table in (work / "near.groups").glob("*.parquet"):
    for row in parquet.read_table(table, columns=["uid", "dup_group"]).to_pylist():
        groups[row["dup_group"]].append(of_uid[row["uid"]])
group_of = {row["uid"]: name for name, members in groups.items() for row in members}
right = wrong = 0
for members in groups.values():
    sizes = collections.Counter(row["original"] for row in members)
    pairs = len(members) * (len(members) - 1) // 2
    same = sum(size * (size - 1) // 2 for size in sizes.values())
    right, wrong = right + same, wrong + pairs - same
print(f"near: {len(groups)} groups in {seconds:.1f} s; of {right + wrong} pairs in one group {wrong} are of different pictures, precision {right / max(right + wrong, 1):.5f}")

# The first half of the originals that have copies is an evaluation set.
with_copies = sorted((name for name, count in copies.items() if count > 1 and name.isdigit()), key=int)
evaluation = set(with_copies[: len(with_copies) // 2])
references = work / "references"
references.mkdir(exist_ok=True)
original = {row["original"]: row for row in rows if row["kind"] == "original"}
for name in evaluation:
    row = original[name]
    (references / row["file"]).write_bytes(row["path"].read_bytes())
seconds, out = run("select", work / "hashed", "-o", work / "clean.parquet", "--decontaminate", "eval", "--reference-pictures", references, "--no-pass-rates", "--json")
kept = set(parquet.read_table(work / "clean.parquet", columns=["uid"])["uid"].to_pylist())
leaked = json.loads(out)["findings"][0]["found"]["decontaminate"]["pictures"]["leaked"]
others = [row for row in rows if row["original"] not in evaluation]
alarms = sum(row["uid"] not in kept for row in others)
print(f"decontaminate: {len(evaluation)} references, {leaked} rows out in {seconds:.1f} s; {alarms} false alarms among {len(others)} other pictures")

print(f"{'kind':<14} {'copies':>6} {'in group':>9} {'leaks found':>12}")
kinds = sorted({row["kind"] for row in rows})
for kind in kinds:
    of_kind = [row for row in rows if row["kind"] == kind and copies[row["original"]] > 1 and row["original"].isdigit()]
    first = {name: original[name]["uid"] for name in copies}
    grouped = [row for row in of_kind if row["kind"] != "original" and row["uid"] in group_of and group_of[row["uid"]] == group_of.get(first[row["original"]])]
    known = [row for row in of_kind if row["original"] in evaluation]
    found = [row for row in known if row["uid"] not in kept]
    share = "" if kind == "original" else f"{len(grouped) / max(len(of_kind), 1):.3f}"
    print(f"{kind:<14} {len(of_kind):>6} {share:>9} {len(found) / max(len(known), 1):>12.3f}")

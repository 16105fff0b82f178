"""What the checks share: where the binary, the fixtures and the peers' Python are, and how a check ends.

A check exits with 0 when everything agrees, 1 when something differs, and 77 when something that it needs is missing.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
# Differences that are printed; the rest is counted.
PRINTED = 20


def skip(reason):
    """Ends the check: nothing was compared."""
    print(f"SKIPPED: {pathlib.Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
    sys.exit(SKIPPED)


def enter(*modules):
    """Goes on under the peers' Python when this one lacks a module, and skips when there is none with all of them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return
    python = os.environ.get("TROMMEL_PEER_PYTHON") or str(ROOT / "target/peers/bin/python")
    if os.environ.get("TROMMEL_PEER_ENTERED") or not os.access(python, os.X_OK):
        skip(f"no python module {', '.join(missing)} (`make peers` installs the peers; TROMMEL_PEER_PYTHON names another python)")
    os.environ["TROMMEL_PEER_ENTERED"] = "1"
    os.execv(python, [python, *sys.argv])


def arguments(description):
    """A parser that knows `--binary`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", default=str(ROOT / "target/release/trommel"), help="the trommel binary")
    return parser


def fixtures(name):
    """A folder of the shared fixtures, or none when they are not here."""
    shared = pathlib.Path(os.environ.get("TROMMEL_SHARED") or ROOT.parent / "shared")
    folder = shared / "fixtures" / name
    return folder if folder.is_dir() else None


def folder():
    """A temporary folder that goes away with the process."""
    return tempfile.TemporaryDirectory(prefix="trommel-peers-")


def trommel(binary, *args, **more):
    """Runs the binary and gives its report. Exits when it does not end well."""
    if not os.access(binary, os.X_OK):
        skip(f"no binary at {binary} (`cargo build --release --workspace` makes it)")
    command = [binary, *map(str, args), "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


class Verdict:
    """Counts what agrees and what differs, and prints each difference."""

    def __init__(self):
        self.agree = 0
        self.differ = 0

    def equal(self, what, ours, theirs, note=""):
        """Compares two values; both are printed when they differ."""
        if ours == theirs:
            self.agree += 1
            return True
        self.differ += 1
        if self.differ > PRINTED:
            return False
        print(f"DIFFERS {what} {note}\n  ours   {str(ours)[:600]}\n  theirs {str(theirs)[:600]}")
        return False

    def end(self):
        """The last line, and the exit code."""
        if self.differ > PRINTED:
            print(f"({self.differ - PRINTED} more differences are not shown)")
        print(f"{self.agree} comparisons agree, {self.differ} differ")
        sys.exit(1 if self.differ else 0)

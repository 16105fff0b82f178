"""Fetching where some hosts ask for pauses: one program against another, or against itself with other settings.

    python tests/bench/slow_hosts.py BINARY [BINARY …] [--urls 20000] [--hosts 800] [--slow 0.08] [--pause 2]
                                     [--unit-rows 500] [--unit-seconds 20] [--rounds 3]

Serves one small picture under every url on loopback. Urls lie on hosts as in docs/scaling.md (Zipf-Mandelbrot); a share of the hosts,
drawn by name, ask in their robots.txt for a `Crawl-delay`. Each BINARY fetches the same list. Printed for each: seconds until a
half, three quarters and nine tenths of the urls had been asked for, seconds in all, urls that were asked for, and the shortest time
between two requests to a host that asks for a pause, as the server saw it.
"""

import argparse
import asyncio
import base64
import collections
import hashlib
import pathlib
import random
import subprocess
import sys
import tempfile
import time

# One pixel, so that fetching is about hosts and not about pictures.
PICTURE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////"
    "wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)


def is_slow(host, share):
    return int(hashlib.sha256(host.encode()).hexdigest()[:8], 16) / 2**32 < share


class Server:
    """Answers every request; remembers when pictures of which host were asked for."""

    def __init__(self, slow, pause):
        self.slow, self.pause = slow, pause
        self.pictures, self.starts = [], collections.defaultdict(list)

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                host = next(line.split(":", 1)[1].strip() for line in head.split("\r\n") if line.lower().startswith("host:"))
                host = host.split(":")[0]
                if path == "/robots.txt":
                    pause = f"Crawl-delay: {self.pause}\n" if is_slow(host, self.slow) else ""
                    body, kind = f"User-agent: *\n{pause}Allow: /\n".encode(), "text/plain"
                elif path.startswith("/.well-known/"):
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    await writer.drain()
                    continue
                else:
                    now = time.monotonic()
                    self.pictures.append(now)
                    self.starts[host].append(now)
                    body, kind = PICTURE, "image/jpeg"
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def urls(count, hosts, port):
    draws = random.Random(7)
    weights = [(rank + 6.19) ** -1.141 for rank in range(1, hosts + 1)]
    for number, rank in enumerate(draws.choices(range(hosts), weights, k=count)):
        yield f"http://h{rank}.bench.test:{port}/{number}.jpg"


async def measure(binary, args):
    server = Server(args.slow, args.pause)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 16)
    port = listener.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "urls.txt").write_text("".join(f"{url}\n" for url in urls(args.urls, args.hosts, port)))
        (folder / "recipe.toml").write_text(
            f"""
[job]
output  = "{folder}/out"
contact = "https://example.org/bot"
[source]
urls = ["{folder}/urls.txt"]
[network]
allow_net = ["127.0.0.0/8"]
resolve   = ["*.bench.test=127.0.0.1"]
[[stage]]
use          = "fetch"
unit_rows    = {args.unit_rows}
unit_seconds = {args.unit_seconds}
rounds       = {args.rounds}
[[stage]]
use = "write"
"""
        )
        started = time.monotonic()
        run = await asyncio.create_subprocess_exec(binary, "run", str(folder / "recipe.toml"), "--quiet", stderr=subprocess.PIPE)
        _, error = await run.communicate()
        seconds = time.monotonic() - started
        if run.returncode not in (0, 1):
            sys.exit(f"{binary} ended with {run.returncode}:\n{error.decode()}")
    listener.close()
    came = sorted(moment - started for moment in server.pictures)
    when = [f"{came[int(share * args.urls) - 1]:.0f}" if len(came) >= share * args.urls else "never" for share in (0.5, 0.75, 0.9)]
    gaps = [b - a for host, starts in server.starts.items() if is_slow(host, args.slow) for a, b in zip(starts, starts[1:])]
    print(f"| {pathlib.Path(binary).name} | {' | '.join(when)} | {seconds:.0f} | {len(came)} | {min(gaps, default=0):.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--urls", type=int, default=20_000)
    parser.add_argument("--hosts", type=int, default=800)
    parser.add_argument("--slow", type=float, default=0.08)
    parser.add_argument("--pause", type=float, default=2)
    parser.add_argument("--unit-rows", type=int, default=500)
    parser.add_argument("--unit-seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print("| program | 50 %, s | 75 %, s | 90 %, s | ended, s | urls asked for | shortest pause, s |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for binary in args.binaries:
        asyncio.run(measure(binary, args))


if __name__ == "__main__":
    main()

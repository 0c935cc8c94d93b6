"""How fast `wsi-seg view` serves a slide: the first picture, tiles a second while panning, and memory.

    python benchmarks/view.py RESULT [--seconds 20]

The server runs as users run it, in a process of its own; this one asks as a browser does: six tiles at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

CONNECTIONS = 6
"""That a browser opens to one server."""


class Asking:
    """Asks for paths below an address, over a connection that stays open."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=120)
        self._root = parts.path

    def __call__(self, path: str) -> bytes:
        self._connection.request("GET", self._root + path)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {content[:200]!r}")
        return content


def first_picture(address: str) -> float:
    """Seconds from the first request to the tile that shows all of the slide, and that of its classes."""
    begun = time.perf_counter()
    ask = Asking(address)
    ask("s/0/")
    about = json.loads(ask("s/0/about.json"))
    ask(f"s/0/slide/{about['slide']['coarsest']}/0_0.jpg")
    if about["labels"]:
        ask(f"s/0/labels/{about['labels']['coarsest']}/0_0.png?as=areas&hidden=0")
    return time.perf_counter() - begun


def panned(about: dict[str, Any], level: int) -> Iterator[str]:
    """Paths of the tiles of a level, row by row, each once: as a slow pan over the slide meets them."""
    slide, labels, side = about["slide"], about["labels"], about["tile"]
    across, down = (-(-(slide[key] >> level) // side) for key in ("width", "height"))
    of_labels = max(0, level - round(labels["downsample"][0]).bit_length() + 1) if labels else 0
    for row, column in itertools.product(range(down), range(across)):
        yield f"s/0/slide/{level}/{column}_{row}.jpg"
        if labels and row % 4 == column % 4 == 0:  # a label tile lies over 4 x 4 of the slide's, or more
            x, y = (
                int(at * side * 2**level / labels["downsample"][0] / 2**of_labels / side)
                for at in (column, row)
            )
            yield f"s/0/labels/{of_labels}/{x}_{y}.png?as=areas&hidden=0"


def pan(
    address: str, about: dict[str, Any], level: int, seconds: float, process: psutil.Process
) -> tuple[float, float]:
    """Tiles a second, and the most memory in MB, while all connections ask for one tile after another."""
    paths, lock, done = panned(about, level), threading.Lock(), 0
    ends, peak = time.perf_counter() + seconds, 0.0

    def work() -> None:
        nonlocal done
        ask = Asking(address)
        while time.perf_counter() < ends:
            with lock:
                path = next(paths, None)
            if path is None:
                return
            ask(path)
            with lock:
                done += path.endswith(".jpg")

    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, process.memory_info().rss / 1e6)
        time.sleep(0.2)
    return done / (time.perf_counter() - begun), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    command = [sys.executable, "-m", "wsi_seg", "view", str(given.result), "--no-open"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        started = time.perf_counter() - begun
        process = psutil.Process(server.pid)
        first = first_picture(address)
        about = json.loads(Asking(address)("s/0/about.json"))
        print(f"| start of the program | {started:.2f} s |")
        print(f"| first picture, from the first request | {first:.2f} s |")
        print(f"| memory then | {process.memory_info().rss / 1e6:.0f} MB |")
        for level in (0, 1, 3):
            rate, peak = pan(address, about, level, given.seconds, process)
            print(
                f"| 512 px tiles a second at 1/{2**level}, and the most memory | {rate:.0f}, {peak:.0f} MB |"
            )
        server.terminate()


if __name__ == "__main__":
    main()

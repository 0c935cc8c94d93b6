"""What do a start and the polygons of a result cost, beside an older build?

    python benchmarks/before.py OLD SLIDE RESULT... [--rounds 3]

OLD is a working tree of an older commit, with an environment of its own in `.venv`. A round has each case
once with the older build and once with this one, in turn; what is shown are medians, and their ratios.
`predict` of SLIDE, `models list` and a slide that is missing are whole commands. Polygons are those of each
finished RESULT from its opened labels to the written file, with one thread and with two, each in a process of
its own; whether both builds write the same features is told, too.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

OURS = Path(__file__).resolve().parents[1]
MODULES = (
    ("wsi_seg.results.polygons.polygon_export", "wsi_seg.results.labels.read_labels", "wsi_seg.settings"),
    ("wsi_seg.results.polygons." + "export", "wsi_seg.results.labels." + "reading", "wsi_seg.settings"),
    ("wsi_seg.outputs.export", "wsi_seg.outputs.labels", "wsi_seg.config"),
)
"""Where builds have their exports, their labels and their settings."""


def draw(result: str, threads: int) -> dict[str, object]:
    """Write the polygons of a result once, in this process."""
    for names in MODULES:
        try:
            found: list[Any] = [import_module(name) for name in names]
            break
        except ModuleNotFoundError:
            continue
    export, labels, settings = found
    usual = export.polygon_settings
    export.polygon_settings = lambda asked, frames: replace(usual(asked, frames), threads=threads)
    pyramid = labels.read_labels(Path(result) / "slide.ome.zarr")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.geojson.gz"
        begin, worked = time.perf_counter(), time.process_time()
        export.export_polygons(pyramid, path, settings.ExportSettings())
        took = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - worked}
        lines = gzip.decompress(path.read_bytes()).splitlines()
    features = b"\n".join(line.rstrip(b",") for line in lines if line.startswith(b'{"type":"Feature"'))
    return {**took, "features": hashlib.sha256(features).hexdigest()}


def ran(tree: Path, case: list[str]) -> dict[str, object]:
    """Run a case of a tree in a process of its own."""
    python = tree / ".venv" / "bin" / "python"
    if case[0] == "polygons":
        command = [str(python), str(Path(__file__).resolve()), "--draw", *case[1:]]
        done = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
        drawn: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return drawn
    with tempfile.TemporaryDirectory() as folder:
        into = ["-o", folder] if case[0] == "predict" else []
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([str(python), "-m", "wsi_seg", *case, *into], cwd=tree, capture_output=True)
        seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "features": ""}


def main() -> None:
    """Run all cases, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("slide")
    parser.add_argument("results", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    cases = [["models", "list"], ["predict", "no-such-slide.svs"], ["predict", asked.slide]]
    cases += [["polygons", result, threads] for result in asked.results for threads in ("1", "2")]
    print(
        "| case | before s | now s | ratio | before processor s | now processor s | ratio | same features |"
    )
    print("|--|--|--|--|--|--|--|--|")
    for case in cases:
        rounds = [[ran(tree, case) for tree in (asked.old.resolve(), OURS)] for _ in range(asked.rounds)]
        row = [" ".join(Path(part).name for part in case)]
        for what in ("seconds", "cpu"):
            old, new = (statistics.median(float(str(r[i][what])) for r in rounds) for i in (0, 1))
            row += [f"{old:.2f}", f"{new:.2f}", f"{new / old:.2f}"]
        same = all(old["features"] == new["features"] for old, new in rounds)
        row.append("-" if case[0] != "polygons" else "yes" if same else "no")
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--draw"]:
        print(json.dumps(draw(sys.argv[2], int(sys.argv[3]))))
    else:
        main()

"""Do fewer minutes give as good a training as an older build's? On lesions that it has not seen.

    python benchmarks/minutes.py OLD SLIDE ANNOTATIONS --rest CLASS [--minutes 5 3] [--folder FOLDER]
        [--lesions NAME ...]

OLD is a working tree of an older commit, with an environment of its own in `.venv`. Each lesion in turn is
left out, as in `leave_one_out.py`; the older build trains on the rest for the first number of minutes, this
one for the second, each by its own `train` as a user calls it, all that it does by itself included. This
build scores both on what was left out. Finished rows are kept in the folder, and not done again. Nothing
else should run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from leave_one_out import Fold, folds, lesion_counts, lesion_iou, read_drawn, write_part
from loop_cases import REGION
from machine import keep

import wsi_seg as ws

OURS = Path(__file__).resolve().parents[1]


class Slide:
    """The slide, its lesions, and what is left out of it."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.path, self.rest, self.folder = arguments.slide.resolve(), arguments.rest, folder
        with ws.open_slide(self.path) as slide:
            self.extent, mpp = shapely.box(0, 0, *slide.size), slide.mpp[0]
        self.drawn = read_drawn(arguments.annotations)
        every = list(folds(self.drawn, mpp, arguments.around_um))
        self.folds = [fold for fold in every if not arguments.lesions or fold.name in arguments.lesions]

    def outlined(self, name: str, region_xy: shapely.Geometry) -> Path:
        """Write what is outlined of a region."""
        return write_part(self.folder / f"{name}.geojson", self.drawn, region_xy)

    def train(self, tree: Path, fold: Fold, minutes: float) -> Path:
        """Train by a build; return the model."""
        out = self.folder / "training"
        outlines = self.outlined("train", self.extent - fold.left_out_xy)
        command = [
            *(str(tree / ".venv/bin/wsi-seg"), "train", str(self.path), str(outlines), "--rest", self.rest),
            *("--roi-class", REGION, "--working-mpp", "1.87", "--minutes", f"{minutes:g}"),
            *("-o", str(out), "--overwrite"),
        ]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{shlex.join(command)}: {done.stderr}")
        return out / "model.safetensors"

    def score(self, model: Path, fold: Fold) -> dict[str, Any]:
        """Return what a model makes of what was left out."""
        outlines = self.outlined("score", self.extent & fold.left_out_xy)
        scores = ws.evaluate(model, [(self.path, outlines)], rest=self.rest, roi_class=REGION)
        counts = lesion_counts(scores, {name for name, _ in self.drawn})
        return {"confusion": counts, "lesion_iou": lesion_iou(counts)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("old", "slide", "annotations"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rest", required=True)
    parser.add_argument("--minutes", nargs=2, type=float, default=[5, 3])
    parser.add_argument("--lesions", nargs="+", help="Names in the table; all unless given.")
    parser.add_argument("--around-um", type=float, default=300)
    parser.add_argument("--folder", type=Path, help="Where finished rows are kept.")
    parser.add_argument("--result", default="minutes", help="Name of the result file.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        slide, log = Slide(arguments, folder), folder / "rows.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        done = {(row["left_out"], row["build"]): row["lesion_iou"] for row in rows}
        for fold in slide.folds:
            for build, tree, minutes in zip(
                ("older", "this"), (arguments.old.resolve(), OURS), arguments.minutes, strict=True
            ):
                if (fold.name, build) in done:
                    continue
                row = slide.score(slide.train(tree, fold, minutes), fold)
                done[fold.name, build] = row["lesion_iou"]
                with log.open("a") as file:
                    file.write(json.dumps({"left_out": fold.name, "build": build, **row}) + "\n")
                print(f"{fold.name}, {build}: {row['lesion_iou']:.3f}", flush=True)
        names = [fold.name for fold in slide.folds]
    older, this = ([done[name, build] for name in names] for build in ("older", "this"))
    lines = [f"| {name} | {a:.3f} | {b:.3f} |" for name, a, b in zip(names, older, this, strict=True)]
    old_minutes, our_minutes = arguments.minutes
    keep(
        arguments.result,
        f"{arguments.slide.name}, --rest {arguments.rest!r}, lesion IoU on each lesion that was left out, "
        "one training each:\n\n"
        f"| left out | older build, {old_minutes:g} minutes | this build, {our_minutes:g} minutes |\n"
        "|--|--|--|\n" + "\n".join(lines) + "\n"
        f"| **mean** | {statistics.fmean(older):.3f} | {statistics.fmean(this):.3f} |\n"
        f"| standard deviation | {np.std(older):.3f} | {np.std(this):.3f} |",
    )


if __name__ == "__main__":
    main()

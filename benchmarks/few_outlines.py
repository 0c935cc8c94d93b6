"""How good is a training on three, five or nine outlines, beside an older build's?

    python benchmarks/few_outlines.py SLIDE ANNOTATIONS --rest CLASS [--trees OLD .] [--outlines 3 5 9]
        [--choices 0 1 2] [--steps 350] [--folder FOLDER] [--table-only]

Each choice takes lesions at random, at least one of each class, of which no more than a window is outlined,
and boxes of other tissue: one in three outlines. Nothing says that what is not outlined is other tissue. The
recipe is `quick` with as many steps for all, its validations and its early stop as they are. Scored is all of
the slide but 300 um around what was outlined: "lesion" is all lesions against the rest. Each checkout trains
and scores by its own commands. Finished rows are kept in the folder, and not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from loop_cases import REGION, Drawn, write
from machine import keep

import wsi_seg as ws

WINDOW_UM, BOX_UM, AROUND_UM = 1000.0, 800.0, 300.0
"""Of a lesion no more is outlined than lies in a window; boxes of other tissue; what is not scored."""

LEAST_MM2 = 0.05
"""Smaller lesions are outlined and scored with what lies beside them, and never chosen."""

COARSE, COLOURED = 16, 20
"""Tissue is looked for at a sixteenth, where colours differ by this many grey values."""

VALIDATIONS, TRIES = 10, 1000


@dataclass(frozen=True)
class Trial:
    """One choice of outlines, trained by one checkout, which its commit names."""

    commit: str
    outlines: int
    choice: int


class Tissue:
    """The slide, its lesions, and where other tissue lies."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.rest = arguments.rest
        self.lesions: Drawn = []
        for feature in json.loads(arguments.annotations.read_text())["features"]:
            shape = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
            self.lesions.append((feature["properties"]["classification"]["name"], shape))
        with ws.open_slide(arguments.slide) as slide:
            self.extent, self.mpp = shapely.box(0, 0, *slide.size), slide.mpp[0]
            width, height = slide.size
            small = (width // COARSE, height // COARSE)
            self.picture = slide.read(x=0, y=0, width=small[0], height=small[1], mpp=self.mpp * COARSE)

    def choose(self, outlines: int, choice: int) -> Drawn:
        """Draw what a hurried pathologist outlines."""
        rng = np.random.default_rng((outlines, choice))
        boxes = outlines // 3
        large = [i for i in rng.permutation(len(self.lesions)) if self.mm2(self.lesions[i][1]) >= LEAST_MM2]
        firsts = {name: next(i for i in large if self.lesions[i][0] == name) for name in self.names}
        order = [*firsts.values(), *(i for i in large if i not in firsts.values())]
        drawn: Drawn = []
        for index in cycle(order):  # again and again, each time another part of it
            if len(drawn) == outlines - boxes:
                break
            drawn += self.part_of(index, drawn, rng)
        for _ in range(boxes):
            drawn.append((self.rest, self.box_beside(drawn, rng)))
        return drawn

    @property
    def names(self) -> list[str]:
        return sorted({name for name, _ in self.lesions})

    def mm2(self, shape: shapely.Geometry) -> float:
        return float(shape.area * self.mpp**2 / 1e6)

    def part_of(self, index: int, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Outline a part of a lesion beside those that are drawn; nothing if none is left of it."""
        name, shape = self.lesions[index]
        for _ in range(TRIES):
            window = self.square_at(self.point_in(shape, rng), WINDOW_UM)
            part = max(shapely.get_parts(shape & window), key=lambda one: one.area)
            if self.mm2(part) >= LEAST_MM2 and not any(part.intersects(other) for _, other in drawn):
                return [(name, part)]
        return []

    def box_beside(self, drawn: Drawn, rng: np.random.Generator) -> shapely.Geometry:
        taken = shapely.union_all([shape for _, shape in [*self.lesions, *drawn]])
        for _ in range(10 * TRIES):
            box = self.square_at(self.point_in(self.extent, rng), BOX_UM)
            if not box.intersects(taken) and self.extent.contains(box) and self.is_tissue(box):
                return box
        raise SystemExit("no box of other tissue was found")

    def point_in(self, shape: shapely.Geometry, rng: np.random.Generator) -> tuple[float, float]:
        x0, y0, x1, y1 = shape.bounds
        while True:
            x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
            if shape.contains(shapely.Point(x, y)):
                return x, y

    def square_at(self, middle: tuple[float, float], side_um: float) -> shapely.Geometry:
        return shapely.box(
            *(value - side_um / self.mpp / 2 for value in middle),
            *(v + side_um / self.mpp / 2 for v in middle),
        )

    def is_tissue(self, box: shapely.Geometry) -> bool:
        x0, y0, x1, y1 = (int(value / COARSE) for value in box.bounds)
        seen = self.picture[y0:y1, x0:x1].astype(int)
        return bool(((seen.max(axis=-1) - seen.min(axis=-1)) > COLOURED).mean() > 0.6)


class Trials:
    """Trains and scores; rows are kept in ``rows.jsonl``."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder, self.log = arguments, folder, folder / "rows.jsonl"
        self.tissue = Tissue(arguments)
        self.trees = {commit_of(tree): tree.resolve() for tree in arguments.trees}

    def known(self) -> dict[Trial, float]:
        if not self.log.is_file():
            return {}
        rows = [json.loads(line) for line in self.log.read_text().splitlines()]
        return {
            Trial(row["commit"], row["outlines"], row["choice"]): row["lesion_iou"]
            for row in rows
            if row["steps"] == self.arguments.steps
        }

    def asked(self) -> list[Trial]:
        a = self.arguments
        return [Trial(t, n, c) for n in a.outlines for c in a.choices for t in self.trees]

    def all(self) -> dict[Trial, float]:
        done = self.known()
        for trial in self.asked():
            if trial not in done:
                done[trial] = self.run(trial)
                row = {**trial.__dict__, "steps": self.arguments.steps, "lesion_iou": done[trial]}
                with self.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(*trial.__dict__.values(), f"{done[trial]:.3f}", flush=True)
        return done

    def run(self, trial: Trial) -> float:
        a, tissue, name = self.arguments, self.tissue, f"{trial.commit}-{trial.outlines}"
        drawn = tissue.choose(trial.outlines, trial.choice)
        outlines, scored, out = (
            self.folder / f"{name}-{part}" for part in ("few.geojson", "rest.geojson", "out")
        )
        write(outlines, drawn)
        left = tissue.extent - shapely.union_all([s for _, s in drawn]).buffer(AROUND_UM / tissue.mpp)
        parts = [
            (n, p) for n, s in tissue.lesions for p in shapely.get_parts(s & left) if p.geom_type == "Polygon"
        ]
        write(scored, [(REGION, left), *parts])
        steps = {
            "minutes": "null",
            "epochs": VALIDATIONS,
            "epoch_steps": a.steps // VALIDATIONS,
            "seed": trial.choice,
        }
        settings = [f"--set=training.{key}={value}" for key, value in steps.items()]
        slide = str(a.slide.resolve())
        self.command(
            trial,
            "train",
            slide,
            str(outlines),
            "-o",
            str(out),
            "--overwrite",
            f"--working-mpp={a.mpp}",
            *settings,
        )
        found = out / "scores.json"
        asked = (f"--roi-class={REGION}", f"--rest={a.rest}", f"--json={found}")
        self.command(trial, "evaluate", str(out / "model.safetensors"), slide, str(scored), *asked)
        return self.lesion_iou(json.loads(found.read_text()))

    def command(self, trial: Trial, *words: str) -> None:
        tree = self.trees[trial.commit]
        python = tree / ".venv" / "bin" / "python"
        subprocess.run([python, "-m", "wsi_seg", *words], cwd=tree, check=True, capture_output=True)

    def lesion_iou(self, scores: dict[str, Any]) -> float:
        """Return the IoU of all lesions together; what is neither counts as other tissue."""
        names, counts = scores["confusion"]["rows"], np.array(scores["confusion"]["counts"])
        lesions = [names.index(name) for name in self.tissue.names]
        true, found = (
            np.isin(np.arange(counts.shape[0]), lesions),
            np.isin(np.arange(counts.shape[1]), lesions),
        )
        both = counts[np.ix_(true, found)].sum()
        return float(both / (counts[true].sum() + counts[:, found].sum() - both))


def commit_of(tree: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=tree, check=True, capture_output=True, text=True
    ).stdout.strip()


def table(done: dict[Trial, float], commits: Iterable[str], arguments: argparse.Namespace) -> str:
    """A row for each number of outlines: each choice's lesion IoU, and their mean, for each checkout."""
    lines = ["| outlines | commit | lesion IoU, choice by choice | mean |", "| --- | --- | --- | --- |"]
    for outlines in arguments.outlines:
        for commit in commits:
            values = [
                done[Trial(commit, outlines, c)]
                for c in arguments.choices
                if Trial(commit, outlines, c) in done
            ]
            shown = " / ".join(f"{value:.3f}" for value in values)
            lines.append(f"| {outlines} | {commit} | {shown} | {np.mean(values):.3f} |" if values else "")
    return "\n".join(line for line in lines if line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--rest", required=True)
    parser.add_argument("--trees", nargs="+", type=Path, default=[Path()], help="Checkouts with their .venv.")
    parser.add_argument("--outlines", nargs="+", type=int, default=[3, 5, 9])
    parser.add_argument("--choices", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--mpp", type=float, default=1.87, help="Trained at.")
    parser.add_argument("--folder", type=Path, help="Where finished rows are kept.")
    parser.add_argument("--table-only", action="store_true", help="Train nothing: a table of what is done.")
    parser.add_argument("--result", default="few-outlines", help="Name of the result file.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        trials = Trials(arguments, folder)
        done = trials.known() if arguments.table_only else trials.all()
    said = (
        f"{arguments.slide.name}, {arguments.steps} steps of `quick` at {arguments.mpp:g} um per px, "
        f"{VALIDATIONS} validations. Lesion IoU on all of the slide but {AROUND_UM:g} um around what was "
        "outlined:"
    )
    keep(arguments.result, f"{said}\n\n{table(done, trials.trees, arguments)}")


if __name__ == "__main__":
    main()

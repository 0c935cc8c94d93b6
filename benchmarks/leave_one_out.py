"""How good is a training on a lesion that it has not seen?

    python benchmarks/leave_one_out.py SLIDE ANNOTATIONS --rest CLASS [--steps 350] [--seeds 0 1]
        [--recipes "quick" "plain loop"] [--lesions NAME ...] [--folder FOLDER] [--table-only]

Leaves out each lesion in turn, with the tissue around it, trains on the rest of the slide, and scores what
was left out: "lesion" is all outlined classes against the rest. A large lesion that is the only one of its
class is left out by halves. All recipes train the same number of steps, keep the last weights, and start
from the same seeds. Finished rows are kept in the folder, and not done again: a run may be stopped, and
several may share the work by seeds or recipes. With --table-only nothing is trained; the table has the
lesions of which all rows are done.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from loop_cases import REGION, Drawn, write
from machine import keep
from training import PLAIN

import wsi_seg as ws
from wsi_seg.api.scores import Scores
from wsi_seg.evaluation.metrics import Confusion

RECIPES: dict[str, dict[str, object]] = {
    "quick": {},
    "plain loop": PLAIN,
    "quick, no averaging": {"training.averaging": None},
    "quick, random weights": {"training.init": None},
    "quick, stain as it is": dict.fromkeys(
        ("augment.stain", "augment.stain_residual", "augment.stain_shift"), 0
    ),
    "quick, plain augmentation": {
        name: value for name, value in PLAIN.items() if name.startswith("augment.")
    },
    "quick, nothing cut off": {"augment.cut_off": 0},
    "quick, with ink": {"augment.inked": 0.15},
    "quick, nothing scaled": {"augment.scale": [1, 1]},
    "quick, nothing blurred, no noise": {"augment.blurred": 0, "augment.noisy": 0},
    "quick, colours as in the plain loop": {
        f"augment.{name}": PLAIN[f"augment.{name}"]
        for name in ("brightness", "contrast", "saturation", "hue")
    },
    "quick, plain optimiser and loss": {
        name: value for name, value in PLAIN.items() if name.startswith(("optimiser.", "loss."))
    },
}

Counts = list[list[int]]

SMALL_MM2 = 0.05
"""Lesions below this are left out with what lies beside them, never alone."""


@dataclass(frozen=True)
class Fold:
    """A lesion that is left out.

    Attributes
    ----------
    name : str
    left_out_xy : Polygon
        With the tissue around it, in level-0 pixels.
    """

    name: str
    left_out_xy: shapely.Polygon


def folds(drawn: Drawn, mpp: float, around_um: float) -> Iterator[Fold]:
    """Each lesion, grown by `around_um`; by halves if it is the only one of its class."""
    large = [(name, shape) for name, shape in drawn if shape.area * mpp**2 / 1e6 >= SMALL_MM2]
    for number, (name, shape) in enumerate(large):
        x0, y0, x1, y1 = shape.buffer(around_um / mpp).bounds
        if [other for other, _ in large].count(name) > 1:
            yield Fold(f"{name} {number + 1}", shapely.box(x0, y0, x1, y1))
        else:
            middle = (y0 + y1) / 2
            yield Fold(f"{name} {number + 1}, upper half", shapely.box(x0, y0, x1, middle))
            yield Fold(f"{name} {number + 1}, lower half", shapely.box(x0, middle, x1, y1))


def read_drawn(annotations: Path) -> Drawn:
    """Return the outlined lesions, each with its class, in level-0 pixels."""
    features = json.loads(annotations.read_text())["features"]
    return [
        (
            feature["properties"]["classification"]["name"],
            shapely.make_valid(shapely.geometry.shape(feature["geometry"])),
        )
        for feature in features
    ]


def write_part(path: Path, drawn: Drawn, region_xy: shapely.Geometry) -> Path:
    """Write what is outlined of a region, and the region itself."""
    cut = [(name, part) for name, shape in drawn for part in shapely.get_parts(shape & region_xy)]
    write(path, [(REGION, region_xy), *((n, part) for n, part in cut if part.geom_type == "Polygon")])
    return path


def lesion_counts(scores: Scores, lesions: Collection[str], away: bool = False) -> Counts:
    """Return the confusion of all lesions, as one class, and the rest; or of pixels away from outlines."""
    groups = [
        [i for i, name in enumerate(scores.classes) if (name in lesions) is lesion]
        for lesion in (True, False)
    ]
    counted = scores.counted_away if away else scores.counted
    assert counted is not None  # lesions are larger than the distance to their outlines
    counts: Counts = counted.merged(groups).counts.tolist()
    return counts


@dataclass(frozen=True)
class Scored:
    """The confusion of lesions and the rest, and of what lies more than 20 um from any outline.

    The latter is None of rows that were kept before it was counted.
    """

    every: Counts
    away: Counts | None


@dataclass(frozen=True)
class Trial:
    """One recipe on one fold with one seed."""

    recipe: str
    fold: str
    seed: int


class Trials:
    """Trains and scores; rows are kept in ``rows.jsonl``."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.log = folder / "rows.jsonl"
        with ws.open_slide(arguments.slide) as slide:
            self.extent, self.mpp = shapely.box(0, 0, *slide.size), slide.mpp[0]
        self.drawn = read_drawn(arguments.annotations)
        self.lesions = sorted({name for name, _ in self.drawn})
        every = list(folds(self.drawn, self.mpp, arguments.around_um))
        self.folds = [fold for fold in every if not arguments.lesions or fold.name in arguments.lesions]

    def known(self) -> dict[Trial, Scored]:
        """Return the counts of each row that is done at this number of steps."""
        if not self.log.is_file():
            return {}
        rows = [json.loads(line) for line in self.log.read_text().splitlines()]
        wanted = self.arguments.steps
        return {
            Trial(row["recipe"], row["fold"], row["seed"]): Scored(row["confusion"], row.get("away"))
            for row in rows
            if row["steps"] == wanted
        }

    def outlined(self, name: str, region_xy: shapely.Geometry) -> Path:
        return write_part(self.folder / f"{name}.geojson", self.drawn, region_xy)

    def run(self, trial: Trial) -> Scored:
        fold = next(fold for fold in self.folds if fold.name == trial.fold)
        settings: dict[str, object] = {
            **RECIPES[trial.recipe],
            "training.minutes": None,
            "training.epochs": 1,
            "training.epoch_steps": self.arguments.steps,
            "training.early_stop": None,
            "training.seed": trial.seed,
            "data.validation": "none",
        }
        asked = {"rest": self.arguments.rest, "roi_class": REGION}
        trained = ws.train(
            [(self.arguments.slide, self.outlined("train", self.extent - fold.left_out_xy))],
            out=self.folder / "training",
            working_mpp=self.arguments.mpp,
            settings=settings,
            overwrite=True,
            **asked,
        )
        scored = self.outlined("score", self.extent & fold.left_out_xy)
        scores = ws.evaluate(trained.model, [(self.arguments.slide, scored)], **asked)
        return Scored(lesion_counts(scores, self.lesions), lesion_counts(scores, self.lesions, away=True))

    def all(self) -> dict[Trial, Scored]:
        done = self.known()
        for seed in self.arguments.seeds:
            for fold in self.folds:
                for recipe in self.arguments.recipes:
                    trial = Trial(recipe, fold.name, seed)
                    if trial in done:
                        continue
                    done[trial] = self.run(trial)
                    row = {
                        **trial.__dict__,
                        "steps": self.arguments.steps,
                        "confusion": done[trial].every,
                        "away": done[trial].away,
                    }
                    with self.log.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(
                        f"{recipe}, {fold.name}, seed {seed}: {lesion_iou(done[trial].every):.3f}", flush=True
                    )
        return done


def lesion_iou(counts: Sequence[Sequence[int]]) -> float:
    return float(Confusion(np.array(counts)).iou[0])


def table(done: dict[Trial, Scored], arguments: argparse.Namespace, names: Sequence[str]) -> str:
    """A row for each lesion, a column for each recipe: each seed's lesion IoU."""
    lines = [f"| left out | {' | '.join(arguments.recipes)} |", f"|{' --- |' * (len(arguments.recipes) + 1)}"]
    for name in names:
        cells = [
            " / ".join(f"{lesion_iou(done[Trial(r, name, s)].every):.3f}" for s in arguments.seeds)
            for r in arguments.recipes
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means, spreads, pooled, away = [], [], [], []
    for recipe in arguments.recipes:
        rows = [[done[Trial(recipe, n, s)] for n in names] for s in arguments.seeds]
        values = np.array([[lesion_iou(row.every) for row in of_seed] for of_seed in rows])
        means.append(f"{values.mean():.3f}")
        spreads.append(f"{values.std():.3f}")
        sums = [np.sum([row.every for row in of_seed], axis=0) for of_seed in rows]
        pooled.append(" / ".join(f"{lesion_iou(counts):.3f}" for counts in sums))
        far = [lesion_iou(row.away) for of_seed in rows for row in of_seed if row.away is not None]
        away.append(f"{np.mean(far):.3f}, {np.std(far):.3f}" if len(far) == values.size else "-")
    lines.append(f"| **mean over lesions and seeds** | {' | '.join(means)} |")
    lines.append(f"| standard deviation of these | {' | '.join(spreads)} |")
    lines.append(f"| all pixels left out, together | {' | '.join(pooled)} |")
    if any(cell != "-" for cell in away):
        lines.append(f"| more than 20 um from any outline: mean, standard deviation | {' | '.join(away)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--rest", required=True)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["quick", "plain loop"])
    parser.add_argument("--lesions", nargs="+", help="Names in the table; all unless given.")
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--around-um", type=float, default=300)
    parser.add_argument("--mpp", type=float, default=1.87, help="Trained at; the same for all.")
    parser.add_argument("--folder", type=Path, help="Where finished rows are kept.")
    parser.add_argument("--table-only", action="store_true", help="Train nothing: a table of what is done.")
    parser.add_argument("--result", default="leave-one-out", help="Name of the result file.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        trials = Trials(arguments, folder)
        done = trials.known() if arguments.table_only else trials.all()
    names = [
        fold.name
        for fold in trials.folds
        if all(Trial(r, fold.name, s) in done for r in arguments.recipes for s in arguments.seeds)
    ]
    keep(
        arguments.result,
        f"{arguments.slide.name}, --rest {arguments.rest!r}; left out is each lesion in turn with "
        f"{arguments.around_um:g} um around it (its bounding box); {arguments.steps} steps of each recipe at "
        f"{arguments.mpp:g} um per px, the last weights kept; seeds {arguments.seeds}. {len(names)} of "
        f"{len(trials.folds)} lesions are done. Lesion IoU, one value for each seed:\n\n"
        f"{table(done, arguments, names)}",
    )


if __name__ == "__main__":
    main()

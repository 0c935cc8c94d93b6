"""Does `wsi-seg suggest` save a pathologist's time?

    python benchmarks/loop.py [--seeds 0 1] [--stains 3 8] [--slide SLIDE ANNOTATIONS --rest CLASS --cut X]
        [--folder FOLDER] [--table-only]

Plays the pathologist with known truth. Each case starts from one window, drawn at random, in which everything
is outlined as the truth has it; a network is trained, more windows are added by each rule (suggested, at
random, by doubt alone, by features alone), training continues from the model of the round before, and so on.
All rules start from the same window and train the same number of steps. Scores are IoU on tissue that no rule
can choose from: see `loop_cases.py`. A case's curve under a rule is kept in the folder when it is done, and
not made again: a run may be stopped, and several may share the work by seeds or starts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import shapely
import torch
from loop_cases import REGION, Box, Case, generated, real, write
from machine import keep

import wsi_seg as ws
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.settings import LabelSettings
from wsi_seg.suggestion.asked_slides import AskedSlide, SuggestSettings
from wsi_seg.suggestion.choosing import Chosen, choose
from wsi_seg.suggestion.looking import Looked
from wsi_seg.suggestion.suggest_windows import Suggestion, suggest

Rule = Callable[[Sequence[Looked], int], list[Chosen]]

ROUNDS = (1, 3, 6, 9, 12)
"""Windows that are outlined after each round."""

MOST_DRAWN = 100

ANY_MODEL = "breast-demo"
"""Only to draw the first window: a random choice asks no model, but windows need one's resolution."""


def at_random(seed: int) -> Rule:
    def rule(looked: Sequence[Looked], count: int) -> list[Chosen]:
        candidates = [each for each in looked if each.window.candidate and len(each.features)]
        order = np.random.default_rng(seed).permutation(len(candidates))
        return [Chosen(candidates[i], None) for i in order[:count]]

    return rule


def by_doubt(looked: Sequence[Looked], count: int) -> list[Chosen]:
    candidates = [each for each in looked if each.window.candidate and len(each.features)]
    return [
        Chosen(each, None) for each in sorted(candidates, key=lambda each: -each.unsure * each.share)[:count]
    ]


def by_features(looked: Sequence[Looked], count: int) -> list[Chosen]:
    """The product's choice without the network's doubts."""
    return choose([replace(each, doubts=np.ones_like(each.doubts)) for each in looked], count)


RULES: dict[str, Callable[[int], Rule]] = {
    "suggested": lambda _: choose,
    "random": at_random,
    "doubt alone": lambda _: by_doubt,
    "features alone": lambda _: by_features,
}


@dataclass
class Loop:
    """One case under one rule.

    Attributes
    ----------
    case : Case
    folder : Path
    window_um : float
    steps : int
        Of each round.
    patch : int
        Side of what is trained on at a time, in pixels.
    """

    case: Case
    folder: Path
    window_um: float
    steps: int
    patch: int

    def find(self, outlines: Path | None, model: str, count: int, rule: Rule) -> list[Box]:
        settings = SuggestSettings(windows=count, window_um=self.window_um, labels=LabelSettings())
        asked = AskedSlide(self.case.slide, () if outlines is None else (outlines,))
        bundle = load_bundle(resolve_model(model))
        found: Suggestion = suggest([asked], bundle, settings, torch.device("cpu"), rule=rule)
        to_qupath = found.grounds[0].frames.label_to_qupath
        boxes = []
        for window in found.windows:
            rect = window.rect
            (x0, y0), (x1, y1) = to_qupath([(rect.x0, rect.y0), (rect.x1, rect.y1)]).tolist()
            boxes.append((x0, y0, x1, y1))
        return boxes

    def outline(self, boxes: Sequence[Box], name: str) -> Path:
        path = self.folder / f"{name}.geojson"
        drawn = [shape for box in boxes for shape in self.case.truth(box)]
        write(path, [*((REGION, shapely.box(*box)) for box in boxes), *drawn])
        return path

    def train(self, outlines: Path, name: str, before: Path | None) -> Path:
        settings = {
            "training.minutes": None,
            "training.epochs": 1,
            "training.epoch_steps": self.steps,
            "training.early_stop": None,
            "data.validation": "none",
            "data.patch": self.patch,
            **self.case.settings,
        }
        if before is not None:
            settings.pop("training.init", None)
        trained = ws.train(
            [(self.case.slide, outlines)],
            out=self.folder / name,
            rest=self.case.rest,
            roi_class=REGION,
            classes=self.case.classes,
            init=before,
            settings=settings,
            device="cpu",
            overwrite=True,
        )
        return trained.model.path

    def first(self, seed: int) -> tuple[list[Box], Path, tuple[float, float]]:
        """The first window drawn that shows two classes: from one alone nothing can be trained."""
        drawn = self.find(None, ANY_MODEL, MOST_DRAWN, at_random(seed))
        boxes = [next(box for box in drawn if self.shows_two(box))]
        model = self.train(self.outline(boxes, "first"), "first", None)
        return boxes, model, self.case.score(model)

    def shows_two(self, box: Box) -> bool:
        outlined = self.case.truth(box)
        names = {name for name, _ in outlined}
        with_rest = sum(shape.area for _, shape in outlined) < 0.95 * shapely.box(*box).area
        return bool(len(names) + with_rest > 1)

    def go_on(self, name: str, rule: Rule, boxes: list[Box], model: Path) -> Figures:
        figures = []
        for number, more in enumerate(np.diff(ROUNDS).tolist(), start=1):
            outlines = self.outline(boxes, name)
            boxes = [*boxes, *self.find(outlines, str(model), more, rule)]
            model = self.train(self.outline(boxes, name), f"{name}-{number}", model)
            figures.append(self.case.score(model))
            print(f"  {name}: {len(boxes)} windows, {figures[-1][0]:.3f} / {figures[-1][1]:.3f}", flush=True)
        return figures


Figures = list[tuple[float, float]]
"""Of each round: the mean IoU, and the one of the case's own choice."""


class Curves:
    """The figures of each case under each rule; a finished curve is a line of ``rows.jsonl``."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.log, self.rules = folder / "rows.jsonl", list[str](arguments.rules)
        a = arguments
        self.window_um = float(a.window_um)
        self.asked = {"window_um": a.window_um, "steps": a.steps, "patch": a.patch}
        self.frame = {"size": a.size, "mpp": a.mpp, "cut": a.cut}
        self.what = f"{a.steps} steps a round on patches of {a.patch} px, windows of {a.window_um:g} um"

    def known(self) -> dict[tuple[str, str], Figures]:
        if not self.log.is_file():
            return {}
        rows = [json.loads(line) for line in self.log.read_text().splitlines()]
        wanted = {**self.asked, **self.frame}
        return {(r["case"], r["rule"]): r["figures"] for r in rows if wanted.items() <= r.items()}

    def missing(self, case: str) -> list[str]:
        """Return the rules whose curve of a case is not there yet."""
        known = self.known()
        return [rule for rule in self.rules if (case, rule) not in known]

    def play(self, seed: int, case: Case, scratch: Path) -> None:
        """Play a case under the rules whose curves are not there yet."""
        begin = time.monotonic()
        folder = scratch / case.name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        loop = Loop(case, folder, self.window_um, self.asked["steps"], self.asked["patch"])
        boxes, model, first = loop.first(seed)
        print(f"{case.name}: one window, {first[0]:.3f} / {first[1]:.3f}", flush=True)
        for rule in self.missing(case.name):
            rounds = loop.go_on(rule.replace(" ", "-"), RULES[rule](seed), boxes, model)
            row = {"case": case.name, "rule": rule, **self.asked, **self.frame, "figures": [first, *rounds]}
            with self.log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        print(f"{case.name}: {time.monotonic() - begin:.0f} s", flush=True)

    def tables(self, cases: Sequence[str], first: tuple[str, int], second: tuple[str, int]) -> str:
        """Return a table of each of two figures, over the cases of which all curves are done."""
        known = self.known()
        done = [case for case in cases if all((case, rule) in known for rule in self.rules)]
        if not done:
            return "No case is done."
        found = {rule: [known[case, rule] for case in done] for rule in self.rules}
        parts = [f"{name}:\n\n{table(found, which, self.window_um)}" for name, which in (first, second)]
        return "\n\n".join([f"{len(done)} of {len(cases)} cases are done.", *parts])


def table(found: dict[str, list[Figures]], which: int, window_um: float) -> str:
    """One line a rule: the mean over cases, and the smallest and largest."""
    heads = [f"{count} ({count * window_um**2 / 1e6:.2f} mm2)" for count in ROUNDS]
    lines = [f"| rule | {' | '.join(heads)} |", f"| {'--- | ' * (len(heads) + 1)}".rstrip()]
    for rule, cases in found.items():
        values = np.array(cases)[:, :, which]
        cells = [f"{column.mean():.3f} ({column.min():.3f} to {column.max():.3f})" for column in values.T]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join([*lines, *reached(found, which)])


def reached(found: dict[str, list[Figures]], which: int) -> list[str]:
    """Say with how many windows each rule's mean is first what it is at random with all of them."""
    if "random" not in found:
        return []
    means = {rule: np.array(cases)[:, :, which].mean(axis=0) for rule, cases in found.items()}
    wanted = means["random"][-1]
    first = {rule: np.flatnonzero(values >= wanted) for rule, values in means.items() if rule != "random"}
    said = [f"{rule} {ROUNDS[at[0]] if len(at) else 'never'}" for rule, at in first.items()]
    return ["", f"Windows until the mean of {ROUNDS[-1]} at random is reached: {', '.join(said)}."]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--stains", nargs="*", type=int, default=[3, 8, 21])
    parser.add_argument("--size", type=int, default=5000, help="Side of generated slides in pixels.")
    parser.add_argument("--mpp", type=float, default=1.0)
    parser.add_argument("--slide", nargs=2, type=Path, metavar=("SLIDE", "ANNOTATIONS"))
    parser.add_argument("--rest", default="Other tissue")
    parser.add_argument(
        "--cut", type=int, default=4500, help="Column of level 0; what lies left is kept out."
    )
    parser.add_argument(
        "--starts", nargs="*", type=int, default=[0, 1], help="First windows on the real slide."
    )
    parser.add_argument("--window-um", type=float, default=500)
    parser.add_argument("--steps", type=int, default=60, help="Of each round.")
    parser.add_argument("--patch", type=int, default=256, help="Side of training patches in pixels.")
    parser.add_argument("--rules", nargs="*", choices=list(RULES), default=list(RULES))
    parser.add_argument("--folder", type=Path, help="Where finished curves are kept.")
    parser.add_argument("--table-only", action="store_true", help="Play nothing: tables of what is done.")
    parser.add_argument("--result", default="loop", help="Name of the result file.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        curves = Curves(arguments, folder)
        parts = []
        if arguments.seeds and arguments.stains:
            parts.append(on_generated(arguments, curves, Path(scratch)))
        if arguments.slide:
            parts.append(on_slide(arguments, curves, Path(scratch)))
    keep(arguments.result, "\n\n".join(parts))


def on_generated(arguments: argparse.Namespace, curves: Curves, scratch: Path) -> str:
    a = arguments
    cases = {
        f"seed {seed}, stain {stain}": (seed, partial(generated, scratch, seed, stain, a.size, a.mpp))
        for seed in a.seeds
        for stain in a.stains
    }
    for name, (seed, make) in cases.items():
        if not a.table_only and curves.missing(name):
            curves.play(seed, make(), scratch)
    return (
        f"Generated slides of {a.size} x {a.size} px at {a.mpp:g} um per px: seeds {a.seeds}, stains "
        f"{a.stains}; {curves.what}; from random weights. "
        + curves.tables(list(cases), ("Mean IoU", 0), ("Mean IoU of classes that cover under 5 %", 1))
    )


def on_slide(arguments: argparse.Namespace, curves: Curves, scratch: Path) -> str:
    a = arguments
    slide, annotations = a.slide
    names = {f"{slide.name}, start {seed}": seed for seed in a.starts}
    if not a.table_only and any(curves.missing(name) for name in names):
        cut = real(scratch, slide, annotations, a.rest, a.cut)
        for name, seed in names.items():
            if curves.missing(name):
                curves.play(seed, replace(cut, name=name), scratch)
    return (
        f"{slide.name}, outlined right of column {a.cut} and scored left of it; first windows {a.starts}; "
        f"{curves.what}; from the built-in model. "
        + curves.tables(list(names), ("Lesion IoU", 1), ("Mean IoU", 0))
    )


if __name__ == "__main__":
    main()

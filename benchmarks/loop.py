"""Does `wsi-seg suggest` save a pathologist's time?

    python benchmarks/loop.py [--seeds 0 1] [--stains 3 8] [--slide SLIDE ANNOTATIONS --rest CLASS --cut X]

Plays the pathologist with known truth. Each case starts from one window, drawn at random, in which everything
is outlined as the truth has it; a network is trained, more windows are added by each rule (suggested, at
random, by doubt alone, by features alone), training continues from the model of the round before, and so on.
All rules start from the same window and train the same number of steps. Scores are IoU on tissue that no rule
can choose from: see `loop_cases.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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

    def go_on(self, name: str, rule: Rule, boxes: list[Box], model: Path) -> list[tuple[float, float]]:
        figures = []
        for number, more in enumerate(np.diff(ROUNDS).tolist(), start=1):
            outlines = self.outline(boxes, name)
            boxes = [*boxes, *self.find(outlines, str(model), more, rule)]
            model = self.train(self.outline(boxes, name), f"{name}-{number}", model)
            figures.append(self.case.score(model))
            print(f"  {name}: {len(boxes)} windows, {figures[-1][0]:.3f} / {figures[-1][1]:.3f}", flush=True)
        return figures


def play(
    cases: Sequence[tuple[int, Case]], arguments: argparse.Namespace, folder: Path
) -> dict[str, list[list[tuple[float, float]]]]:
    """Return the figures of each rule: for each case, of each round."""
    found: dict[str, list[list[tuple[float, float]]]] = {rule: [] for rule in arguments.rules}
    for seed, case in cases:
        begin = time.monotonic()
        own = folder / case.name.replace(" ", "-").replace(",", "")
        own.mkdir()
        loop = Loop(case, own, arguments.window_um, arguments.steps, arguments.patch)
        boxes, model, first = loop.first(seed)
        print(f"{case.name}: one window, {first[0]:.3f} / {first[1]:.3f}", flush=True)
        for rule in arguments.rules:
            name = rule.replace(" ", "-")
            found[rule].append([first, *loop.go_on(name, RULES[rule](seed), boxes, model)])
        print(f"{case.name}: {time.monotonic() - begin:.0f} s", flush=True)
        (folder.parent / f"loop-{case.name}.json").write_text(json.dumps(found))
    return found


def table(found: dict[str, list[list[tuple[float, float]]]], which: int, window_um: float) -> str:
    """One line a rule: the mean over cases, and the smallest and largest."""
    heads = [f"{count} ({count * window_um**2 / 1e6:.2f} mm2)" for count in ROUNDS]
    lines = [f"| rule | {' | '.join(heads)} |", f"| {'--- | ' * (len(heads) + 1)}".rstrip()]
    for rule, cases in found.items():
        values = np.array(cases)[:, :, which]
        cells = [f"{column.mean():.3f} ({column.min():.3f} to {column.max():.3f})" for column in values.T]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join(lines)


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
    parser.add_argument("--result", default="loop", help="Name of the result file.")
    arguments = parser.parse_args()
    parts = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "work"
        folder.mkdir()
        of_slides = (
            f"{arguments.steps} steps a round on patches of {arguments.patch} px, windows of "
            f"{arguments.window_um:g} um"
        )
        cases = [
            (seed, generated(folder, seed, stain, arguments.size, arguments.mpp))
            for stain in arguments.stains
            for seed in arguments.seeds
        ]
        if cases:
            found = play(cases, arguments, folder)
            parts.append(
                f"Generated slides of {arguments.size} x {arguments.size} px at {arguments.mpp:g} um per px: "
                f"seeds {arguments.seeds}, stains {arguments.stains}; {of_slides}; from random weights.\n\n"
                f"Mean IoU:\n\n{table(found, 0, arguments.window_um)}\n\n"
                f"Mean IoU of classes that cover under 5 %:\n\n{table(found, 1, arguments.window_um)}"
            )
        if arguments.slide:
            slide, annotations = arguments.slide
            cut = real(folder, slide, annotations, arguments.rest, arguments.cut)
            starts = [(seed, replace(cut, name=f"{cut.name}, start {seed}")) for seed in arguments.starts]
            found = play(starts, arguments, folder)
            parts.append(
                f"{cut.name}, outlined right of column {arguments.cut} and scored left of it; first windows "
                f"{arguments.starts}; {of_slides}; from the built-in model.\n\n"
                f"Lesion IoU:\n\n{table(found, 1, arguments.window_um)}\n\n"
                f"Mean IoU:\n\n{table(found, 0, arguments.window_um)}"
            )
    keep(arguments.result, "\n\n".join(parts))


if __name__ == "__main__":
    main()

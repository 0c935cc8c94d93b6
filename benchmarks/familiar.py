"""Does a model know which slides are unlike its training tissue, and does adapting their stain help?

    python benchmarks/familiar.py [--model MODEL] [--stains 16 17] [--tissues 904 905] [--slides SLIDE...]

Generated tissue is developed in other stains, and as other scanners would see it. For each, mIoU against the
exact truth is set beside the distance that `predict` states, and beside mIoU with `--adapt`. A loss is that
against the same tissue in the middle of the range of stains. Slides named with --slides have no truth: what
`predict` says of them is listed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import keep

from wsi_seg.demo.dye_colours import Dyes, Stain, blur, blur_margin
from wsi_seg.demo.fields import FIELD_MPP
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.errors import UnstatedMppError
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.tissue.comparison import compare
from wsi_seg.inference.tissue.patch_looks import SIDE, Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.models.renormalised import model_with_statistics
from wsi_seg.predict.adapt import choose
from wsi_seg.predict.adapted import Adaptation
from wsi_seg.predict.familiar import familiarity
from wsi_seg.predict.plan import Plan
from wsi_seg.settings import LabelSettings, PredictSettings
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

TISSUES = [907, 908]
"""Seeds of tissue that no demo model was trained on: those train from 10,000 on. How `--adapt` decides was
chosen by tissues 900 to 903 in stains 10 to 13, and 904 and 905 in stains 16, 19 and 21."""

STAINS = [22, 23, 24, 25, 26, 27]

UNSTATED_MPP = 0.5
"""For real slides that do not state their resolution."""

FIELD = 2 * SIDE
FIELDS = 3
MARGIN = 16
"""Pixels around a field, for the blur."""

LOST = 0.10
SPREADS = (1.0, 2.0, 3.0)
SCANNERS: dict[str, dict[str, Any]] = {
    "blur 1 um": {"blur_um": 1.0},
    "blur 2 um": {"blur_um": 2.0},
    "blur 3 um": {"blur_um": 3.0},
    "blur 4 um": {"blur_um": 4.0},
    "noise 6": {"noise": 6.0},
    "noise 12": {"noise": 12.0},
    "noise 20": {"noise": 20.0},
    "gamma 0.6": {"gamma": 0.6},
    "gamma 2": {"gamma": 2.0},
}


class Undeveloped(Stain):
    """Keeps the dyes, so that the same tissue can be developed in any stain."""

    def develop(self, dyes: Dyes, first_xy: tuple[int, int], salt: int) -> np.ndarray[Any, Any]:
        kept.append((first_xy, dyes))
        return np.zeros((*dyes.eosin.shape, 3), np.uint8)


kept: list[tuple[tuple[int, int], Dyes]] = []


@dataclass(frozen=True)
class Field:
    """A field of a generated slide: its dyes with a margin, shape (3, height, width), and its truth."""

    dyes: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]

    def in_stain(self, stain: Stain) -> np.ndarray[Any, Any]:
        sigma = stain.blur_um / FIELD_MPP
        spare = MARGIN - blur_margin(sigma)
        inner = self.dyes[:, spare : -spare or None, spare : -spare or None]
        hematoxylin, eosin, red = (blur(np.ascontiguousarray(dye), sigma) for dye in inner)
        return stain.develop(Dyes(hematoxylin, eosin, red, None), (0, 0), 1)


@dataclass(frozen=True)
class Trial:
    """What came of tissue in a stain."""

    condition: str
    stained: bool
    miou: float
    lost: float
    distance: float
    verdict: str
    adapted: float
    done: str


def draw(tissue: int) -> list[Field]:
    """Draw some fields of one generated slide."""
    rng = np.random.default_rng(tissue)
    extent, padded = 3000.0, FIELD + 2 * MARGIN
    ground = Tissue(tissue, extent, extent, Undeveloped(blur_um=0.0), tissue_everywhere=True)
    fields = []
    for _ in range(FIELDS):
        y0, x0 = (int(v) for v in rng.integers(0, int(extent / FIELD_MPP) - padded, 2))
        kept.clear()
        _, truth = ground.render(Rect(y0, x0, y0 + padded, x0 + padded), FIELD_MPP)
        dyes = np.zeros((3, padded, padded), np.float32)
        for (x, y), part in kept:
            height, width = part.eosin.shape
            for dye, amount in zip(dyes, (part.hematoxylin, part.eosin, part.red_cells), strict=True):
                if amount is not None:
                    dye[y - y0 : y - y0 + height, x - x0 : x - x0 + width] = amount
        fields.append(Field(dyes, truth[MARGIN:-MARGIN, MARGIN:-MARGIN]))
    return fields


def conditions(stains: list[int]) -> list[tuple[str, Stain, bool]]:
    """Return stains by name, and whether it is the stain that differs, and not the scanner."""
    found = [("middle of the range", Stain(), True)]
    found += [
        (f"stain {seed}, spread {spread:g}", Stain.random(seed, spread), True)
        for spread in SPREADS
        for seed in stains
    ]
    return found + [(name, replace(Stain(), **change), False) for name, change in SCANNERS.items()]


def patches(pictures: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    steps = list(pairwise(range(0, FIELD + 1, SIDE)))
    return [rgb[y:y1, x:x1] for rgb in pictures for y, y1 in steps for x, x1 in steps]


def score(segmenter: Segmenter, pictures: list[np.ndarray[Any, Any]], fields: list[Field], n: int) -> float:
    confusion = Confusion.empty(n)
    for rgb, field in zip(pictures, fields, strict=True):
        confusion.add(field.truth, segmenter(rgb[None]).labels[0])
    return confusion.mean_iou


def trials(bundle: ModelBundle, tissue: int, stains: list[int]) -> list[Trial]:
    segmenter = Segmenter(bundle, torch.device("cpu"))
    fields, found, best = draw(tissue), [], 0.0
    for name, stain, stained in conditions(stains):
        pictures = [field.in_stain(stain) for field in fields]
        miou = score(segmenter, pictures, fields, len(bundle.schema))
        best = best or miou
        looks = Looks.at(patches(pictures), sight_by_pytorch(bundle.network, bundle.input))
        seen = compare(looks, bundle.tissue, FIELD_MPP, FIELD_MPP)
        assert seen is not None
        assert seen.distance is not None
        adaptation = choose(patches(pictures), bundle)
        adapted = with_adaptation(adaptation, bundle, pictures, fields)
        done = adaptation.line.partition(":")[0] if adapted is None else how(adaptation)
        adapted = miou if adapted is None else adapted
        found.append(Trial(name, stained, miou, best - miou, seen.distance, str(seen.verdict), adapted, done))
        print(found[-1], flush=True)
    return found


def with_adaptation(
    adaptation: Adaptation, bundle: ModelBundle, pictures: list[np.ndarray[Any, Any]], fields: list[Field]
) -> float | None:
    """Return the mIoU with an adaptation; None if it changes nothing."""
    if adaptation.restain is None and adaptation.statistics is None:
        return None
    if adaptation.restain is not None:
        pictures = [adaptation.restain(rgb) for rgb in pictures]
    if adaptation.statistics is not None:
        bundle = model_with_statistics(bundle, adaptation.statistics)
    return score(Segmenter(bundle, torch.device("cpu")), pictures, fields, len(bundle.schema))


def how(adaptation: Adaptation) -> str:
    return " and ".join(
        what
        for what, done in (("stain", adaptation.restain), ("normalisations", adaptation.statistics))
        if done is not None
    )


def auc(scores: np.ndarray[Any, Any], positive: np.ndarray[Any, Any]) -> float:
    """Return the chance that a positive scores higher than another."""
    high, low = scores[positive][:, None], scores[~positive][None]
    if not high.size or not low.size:
        return float("nan")
    return float((high > low).mean() + 0.5 * (high == low).mean())


def mpp_of(path: Path) -> float | None:
    """Return a resolution for a slide that does not state its own."""
    with Slide(path) as slide:
        try:
            return None if slide.mpp else UNSTATED_MPP
        except UnstatedMppError:
            return UNSTATED_MPP


def told(bundle: ModelBundle, paths: list[Path]) -> list[str]:
    """Return what is said of real slides."""
    lines = []
    for path in paths:
        labels = LabelSettings(allow_grey=True, allow_coarser=True)
        with Slide(path, mpp_of(path)) as slide:
            plan = Plan.make(slide, bundle, "cpu", PredictSettings(labels=labels))
            seen = familiarity(plan)
        lines.append(
            f"| {path.name} | {seen.distance if seen else ''} | {seen.line if seen else 'no tissue'} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["breast-demo"])
    parser.add_argument("--stains", type=int, nargs="+", default=STAINS, help="Seeds, for each spread.")
    parser.add_argument("--tissues", type=int, nargs="+", default=TISSUES, help="Seeds.")
    parser.add_argument("--slides", nargs="*", type=Path, default=[])
    parser.add_argument("--result", default="familiar", help="Name of the result file.")
    arguments = parser.parse_args()
    text = ""
    for model in arguments.model:
        bundle = load_bundle(resolve_model(model))
        found = [t for tissue in arguments.tissues for t in trials(bundle, tissue, arguments.stains)]
        text += report(bundle, found, told(bundle, arguments.slides))
    keep(arguments.result, text)


def report(bundle: ModelBundle, found: list[Trial], real: list[str]) -> str:
    lost = np.array([t.lost for t in found])
    gained = np.array([t.adapted - t.miou for t in found])
    stain = np.array([t.stained for t in found])
    bad, familiar = lost > LOST, np.array([t.verdict == "familiar" for t in found])
    worse, fine = stain & (lost > 0.02), lost <= 0.02
    distances = np.array([t.distance for t in found])
    lines = [
        f"## {bundle.name}",
        "",
        f"{len(found)} trials, each {FIELDS} fields of {FIELD} px at {FIELD_MPP:g} um per px; "
        f"{int(bad.sum())} lose more than {LOST} mIoU.",
        "",
        f"- AUC of the distance for a loss of more than {LOST}: **{auc(distances, bad):.3f}** "
        f"(stains alone {auc(distances[stain], bad[stain]):.3f}, "
        f"scanners alone {auc(distances[~stain], bad[~stain]):.3f}).",
        f"- Called familiar: {int(familiar.sum())}, of which {int((familiar & bad).sum())} lose more than "
        f"{LOST}.",
        f"- Stains that lose more than 0.02: {int(worse.sum())}, "
        f"{lost[worse].sum():.3f} in all; --adapt brings back "
        f"{gained[worse].sum():.3f} "
        f"({gained[worse].sum() / max(lost[worse].sum(), 1e-9):.0%}).",
        f"- Of the scanners that do: {int((~stain & (lost > 0.02)).sum())}, "
        f"{lost[~stain & (lost > 0.02)].sum():.3f} in all; back: {gained[~stain & (lost > 0.02)].sum():.3f}.",
        f"- Where no more is lost, --adapt changes the mIoU by {gained[fine].min():+.3f} "
        f"to {gained[fine].max():+.3f}; the most that it takes away anywhere is {-gained.min():.3f}.",
        "",
        "| condition | mIoU | lost | distance | verdict | --adapt | mIoU with it |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {t.condition} | {t.miou:.3f} | {t.lost:.3f} | {t.distance:.2f} | {t.verdict} | {t.done} | "
            f"{t.adapted:.3f} |"
            for t in sorted(found, key=lambda t: -t.lost)
        ),
        "",
    ]
    if real:
        lines += ["| slide | distance | what is said |", "|---|---|---|", *real, ""]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

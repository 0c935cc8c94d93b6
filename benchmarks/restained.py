"""What another stain of a real slide costs, and what `--adapt` brings back.

    python benchmarks/restained.py SLIDE ANNOTATIONS MODEL [--stains 8]

The slide's dyes are found in its tissue, turned to other directions and strengths, and the slide is written
again with them, at the model's resolution. Lesion IoU: all outlined classes against the rest, wherever the
slide was scanned (not of one grey), on the whole slide; the model may have been trained on it, so only the
differences between stains tell something.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from machine import keep
from PIL import Image, ImageDraw

import wsi_seg as ws
from wsi_seg.progress import Progress
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.restain import Restaining
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.stain import Dyes, Stain

UNSCANNED = 240
"""The grey between the fields of the slide."""

EVERY = 97
"""So many-th pixels count for the stain."""

TURNS, STRENGTHS = 0.12, 0.35
"""Standard deviations of what each dye's direction is turned by, in each channel, and of the logarithm of its
strength: wider than laboratories differ."""


def another_stain(dyes: Dyes, seed: int) -> Restaining:
    """Draw other dyes, and return the map to them."""
    rng = np.random.default_rng(seed)
    turned = np.abs(dyes.directions + rng.normal(0, TURNS, (2, 3)))
    turned *= np.exp(rng.normal(0, STRENGTHS, (2, 1))) / np.linalg.norm(turned, axis=1, keepdims=True)
    across = np.cross(*dyes.directions)
    source = np.column_stack([*dyes.directions, across])
    found = Restaining.of(np.column_stack([*turned, across]) @ np.linalg.inv(source), np.zeros(3))
    assert found is not None
    return found


def truth_of(annotations: Path, downsample: float, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Draw all outlines, exteriors alone, in label pixels."""
    drawn = Image.new("1", shape[::-1])
    for feature in json.loads(annotations.read_text())["features"]:
        geometry = feature["geometry"]
        parts = geometry["coordinates"]
        for rings in [parts] if geometry["type"] == "Polygon" else parts:
            assert len(rings) == 1, "holes are not drawn"
            ImageDraw.Draw(drawn).polygon([tuple(v / downsample for v in xy) for xy in rings[0]], fill=1)
    return np.asarray(drawn)


def names_of(annotations: Path) -> set[str]:
    features = json.loads(annotations.read_text())["features"]
    return {feature["properties"]["classification"]["name"] for feature in features}


def lesion_iou(result: ws.Result, picture: Picture) -> float:
    ids = [c.id for c in result.classes if c.name in picture.lesions]
    assert ids
    height, width = picture.truth.shape
    lesion = np.isin(result.labels[:height, :width], ids)
    both = (lesion & picture.truth & picture.scanned).sum()
    return float(both / ((lesion | picture.truth) & picture.scanned).sum())


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@dataclass(frozen=True)
class Picture:
    """The slide at the model's resolution, and what is known of it."""

    rgb: np.ndarray[Any, Any]
    scanned: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    mpp: float
    dyes: Dyes
    lesions: set[str]

    @classmethod
    def of(cls, slide_path: Path, annotations: Path, mpp: float) -> Picture:
        with Slide(slide_path) as slide:
            frames = slide.frames(mpp)
            width, height = frames.label_size
            rgb = slide.read(Rect(0, 0, height, width), frames).rgb
            downsample = frames.label_mpp[0] / slide.mpp[0]
        scanned = (rgb != UNSCANNED).any(axis=-1)
        stain = Stain.of(rgb[scanned][::EVERY])
        assert stain is not None
        assert stain.dyes is not None
        truth = truth_of(annotations, downsample, rgb.shape[:2])
        return cls(rgb, scanned, truth, frames.label_mpp[0], stain.dyes, names_of(annotations))

    def write(self, path: Path, seed: int | None) -> None:
        """Write a slide in its own stain, or in another."""
        rgb = self.rgb
        if seed is not None:
            rgb = np.where(self.scanned[..., None], another_stain(self.dyes, seed)(rgb), rgb)
        tifffile.imwrite(
            path,
            rgb,
            tile=(256, 256),
            photometric="rgb",
            compression="deflate",
            resolution=(1e4 / self.mpp, 1e4 / self.mpp),
            resolutionunit="CENTIMETER",
        )


def measured(picture: Picture, seed: int | None, model: Path, scratch: Path) -> tuple[float, float, str]:
    """Return the lesion IoU as it is and with `--adapt`, and a table row."""
    path = scratch / "slide.tiff"
    picture.write(path, seed)
    found: list[float] = []
    distances, heard = [], Heard()
    for adapt in (False, True):
        out = scratch / f"out-{seed}-{adapt}"
        result = ws.segment(path, model, out=out, adapt=adapt, progress=heard if adapt else None)
        found.append(lesion_iou(result, picture))
        distances.append(result.familiarity.distance if result.familiarity else None)
    done = next(line for line in heard.lines if line.startswith(("adapted", "left")))
    name = "its own" if seed is None else str(seed)
    row = f"| {name} | {found[0]:.3f} | {found[1]:.3f} | {distances[0]} | {done} |"
    print(row, flush=True)
    return found[0], found[1], row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--stains", type=int, default=8)
    arguments = parser.parse_args()
    mpp = ws.load_model(arguments.model).mpp
    assert mpp is not None
    picture = Picture.of(arguments.slide, arguments.annotations, mpp)
    warnings.simplefilter("ignore", UserWarning)  # that a slide is unfamiliar
    with tempfile.TemporaryDirectory() as scratch:
        found = [
            measured(picture, seed, arguments.model, Path(scratch))
            for seed in (None, *range(arguments.stains))
        ]
    plain, adapted = (np.array([row[i] for row in found], float) for i in (0, 1))
    lost, gained = plain[0] - plain, adapted - plain
    worse = lost > 0.02
    rows = [
        "| stain | as it is | with --adapt | distance | what --adapt did |",
        "|---|---|---|---|---|",
        *(row for _, _, row in found),
        "",
        f"{int(worse.sum())} of {arguments.stains} stains lose more than 0.02, {lost[worse].sum():.3f} "
        f"together; `--adapt` brings back {gained[worse].sum():.3f}.",
    ]
    keep(
        "restained",
        f"{arguments.slide.name}, `{arguments.model.name}`; lesion IoU on the whole slide, of which the "
        "model was trained on a part.\n\n" + "\n".join(rows),
    )


if __name__ == "__main__":
    main()

"""What `loop.py` plays on: tissue to outline, whose truth is known, and tissue to score on."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
import tifffile

import wsi_seg as ws
from wsi_seg.demo.dye_colours import Stain
from wsi_seg.demo.generated_slide import truth_path, write_slide
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.demo.score_labels import TruthImage, score_labels
from wsi_seg.models.classes import load_schema
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

Box = tuple[float, float, float, float]
Drawn = list[tuple[str, shapely.Geometry]]

REGION = "Region*"
GENERATED_REST = "Normal stroma"


@dataclass(frozen=True)
class Case:
    """Tissue to outline, and tissue to score on.

    Attributes
    ----------
    name : str
    slide : Path
        That windows are chosen on.
    truth : callable
        What a perfect pathologist outlines within a box, in QuPath's frame of that slide.
    score : callable
        The figures of a model on what is kept out: the mean IoU, and that of the case's own choice.
    rest : str
    settings : dict
        Of the recipe.
    classes : str or None
    """

    name: str
    slide: Path
    truth: Callable[[Box], Drawn]
    score: Callable[[Path], tuple[float, float]]
    rest: str
    settings: dict[str, object]
    classes: str | None = None


def generated(folder: Path, seed: int, stain: int, side_px: int, mpp: float) -> Case:
    """A generated slide to outline, and another of the same stain to score on."""
    colours = Stain.random(stain)
    slides = []
    for number, name in ((seed, "outline"), (seed + 10_000, "score")):
        slides.append(folder / f"generated-{name}-{seed}-{stain}.tiff")
        tissue = Tissue(number, side_px * mpp, side_px * mpp, colours)
        write_slide(slides[-1], tissue, (side_px, side_px), mpp)
    schema = load_schema("breast-biopsy")

    def truth(box: Box) -> Drawn:
        x0, y0, x1, y1 = (round(value) for value in box)
        with TruthImage(truth_path(slides[0])) as image:
            ids = image.read(Rect(y0, x0, y1, x1).clipped(side_px, side_px))
        drawn = []
        for geometry, value in rasterio.features.shapes(ids):
            name = schema.classes[int(value)].name
            if name != GENERATED_REST:
                drawn.append((name, shapely.affinity.translate(shapely.geometry.shape(geometry), x0, y0)))
        return drawn

    def score(model: Path) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as out:
            ws.segment(slides[1], model, out=Path(out) / "result")
            labels = read_labels(Path(out) / "result" / "slide.ome.zarr")
            with TruthImage(truth_path(slides[1])) as image:
                confusion = score_labels(labels.read, labels.frames, image, len(schema)).confusion
        rare = [i for i, share in enumerate(confusion.true_pixels / confusion.pixels) if 0 < share < 0.05]
        return confusion.mean_iou, float(np.nanmean(confusion.iou[rare]))

    settings: dict[str, object] = {"training.init": None, "data.mpp": 2.0}
    return Case(
        f"seed {seed}, stain {stain}", slides[0], truth, score, GENERATED_REST, settings, "breast-biopsy"
    )


def real(folder: Path, slide: Path, annotations: Path, rest: str, cut: int) -> Case:
    """A slide with outlines, cut in two along a column of level 0."""
    shapes: Drawn = []
    for feature in json.loads(annotations.read_text())["features"]:
        name = feature["properties"]["classification"]["name"]
        shapes.append((name, shapely.make_valid(shapely.geometry.shape(feature["geometry"]))))
    with Slide(slide) as whole:
        (width, height), mpp = whole.size, whole.mpp[0] * 2
        frames = whole.frames(mpp)
        pixels = whole.read(Rect(0, 0, *frames.label_size[::-1]), frames).rgb
    parts = {"score": (0, cut // 2), "outline": (cut // 2, width // 2)}
    files = {}
    for part, (x0, x1) in parts.items():
        files[part] = folder / f"{slide.stem}-{part}.tiff"
        tifffile.imwrite(
            files[part],
            pixels[:, x0:x1],
            tile=(256, 256),
            photometric="rgb",
            compression="deflate",
            metadata=None,
            resolution=(1e4 / mpp, 1e4 / mpp),
            resolutionunit="CENTIMETER",
        )
    del pixels

    def within(box: Box, left: int) -> Drawn:
        """Return what is drawn within a box of one part, of which slide pixels are two to one."""
        moved = [(n, shapely.affinity.affine_transform(s, (0.5, 0, 0, 0.5, -left, 0))) for n, s in shapes]
        cut_out = [(n, shapely.intersection(s, shapely.box(*box))) for n, s in moved]
        areas = [(n, part) for n, s in cut_out for part in shapely.get_parts(s)]
        return [(n, part) for n, part in areas if part.geom_type == "Polygon" and part.area > 1]

    everything = (0.0, 0.0, float(cut // 2), float(height // 2))
    known = folder / "known.geojson"
    write(known, [*within(everything, 0), (REGION, shapely.box(*everything))])
    lesions = sorted({name for name, _ in shapes})

    def score(model: Path) -> tuple[float, float]:
        scores = ws.evaluate(model, [(files["score"], known)], rest=rest, roi_class=REGION)
        counts = scores.counted
        groups = [
            [i for i, name in enumerate(scores.classes) if (name in lesions) is lesion]
            for lesion in (True, False)
        ]
        return scores.mean_iou, float(counts.merged(groups).iou[0])

    def truth(box: Box) -> Drawn:
        return within(box, cut // 2)

    schema = folder / "classes.yaml"
    lines = [f"  - {{id: {i}, name: {n}, color: [{60 * i}, 0, 200]}}" for i, n in enumerate([rest, *lesions])]
    schema.write_text("\n".join(["name: loop", "classes:", *lines]) + "\n")
    settings: dict[str, object] = {"data.mpp": 1.87}
    return Case(slide.name, files["outline"], truth, score, rest, settings, str(schema))


def write(path: Path, drawn: Drawn) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shape),
            "properties": {"classification": {"name": name, "color": [0, 0, 0]}},
        }
        for name, shape in drawn
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))

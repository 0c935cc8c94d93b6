"""How much do labels depend on how a slide's coarser levels were made?

    python benchmarks/pyramids.py SLIDE... [--model M] [--side PX] [--at X Y]

Of each slide a field of level 0 is written again with no other level, and with levels of 1/2 and 1/4 made by
mean, by cubic splines, by mean as JPEG of quality 75, and by nearest pixels. Each is labelled as `predict`
does, but for the tissue mask, and compared with what is labelled from level 0; all levels must pass as good.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import torch
from machine import keep
from PIL import Image

from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.region import RegionSegmenter
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.models.lookup import resolve_model
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.slides.slide import Slide

FACTORS = (2, 4)


def reduced(rgb: np.ndarray, factor: int, how: str) -> np.ndarray:
    if how == "nearest":
        return rgb[::factor, ::factor]
    image = Image.fromarray(rgb)
    if how == "cubic splines":
        size = rgb.shape[1] // factor, rgb.shape[0] // factor
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    image = image.reduce(factor)
    if how == "mean, JPEG 75":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=75)
        image = Image.open(file)
    return np.asarray(image)


def write(path: Path, rgb: np.ndarray, mpp: float, how: str | None) -> Path:
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in (1, *(FACTORS if how else ())):
            tiff.write(
                rgb if how is None or factor == 1 else reduced(rgb, factor, how),
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
                subfiletype=int(factor > 1),
                resolution=(1e4 / mpp / factor,) * 2,
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def labelled(path: Path, segmenter: Segmenter, mpp: float) -> tuple[np.ndarray, int]:
    with Slide(path) as slide:
        frames = slide.frames(mpp)
        assert len(slide.levels_read) == len(slide.levels), slide.agreements
        lattice = Lattice(*frames.label_size, 1024, 96, 1)
        segment = RegionSegmenter(slide, frames, Extent(None, None, OUTSIDE_ID), segmenter, 1, False)
        labels = np.zeros(frames.label_size[::-1], dtype=np.uint8)
        for region in lattice.regions():
            labels[region.label_rect.slices] = segment(region).labels
        return labels, slide.level_for(frames)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--side", type=int, default=4096, help="of the field, in level-0 pixels")
    parser.add_argument(
        "--at", type=int, nargs=2, default=[0, 0], help="its corner, where the slide is larger"
    )
    args = parser.parse_args()
    bundle = load_bundle(resolve_model(args.model))
    segmenter = Segmenter(bundle, torch.device("cpu"))
    lines = ["| slide | levels by | level read | other class than from level 0 |", "|--" * 4 + "|"]
    for given in args.slides:
        with Slide(given) as slide, tempfile.TemporaryDirectory() as folder:
            mpp = max(slide.mpp)
            frames = slide.frames(mpp, allow_coarser=True)
            width, height = frames.label_size
            x, y = args.at if max(width, height) > args.side else (0, 0)
            field = Rect(y, x, y + args.side, x + args.side).clipped(width // 4 * 4, height // 4 * 4)
            rgb = slide.read(field, frames).rgb
            name = f"{given.name}, {field.width} x {field.height} px"
            path = Path(folder) / "slide.tiff"
            expected, _ = labelled(write(path, rgb, mpp, None), segmenter, bundle.input.mpp or 2.0)
            for how in ("mean", "cubic splines", "mean, JPEG 75", "nearest"):
                labels, level = labelled(write(path, rgb, mpp, how), segmenter, bundle.input.mpp or 2.0)
                share = np.mean(labels != expected)
                lines.append(f"| {name} | {how} | {level} | {100 * share:.2f} % |")
                print(lines[-1], flush=True)
    keep(
        "pyramids",
        f"Model {bundle.name} at {bundle.input.mpp:g} um per px; share of pixels in another class than when "
        "level 0 alone is read.\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()

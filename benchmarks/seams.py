"""Do patches show? Labels from cores with halos against one pass over the whole field.

    python benchmarks/seams.py SLIDE [--model M] [--field X Y WIDTH HEIGHT]

The field is in label pixels of the slide. The whole pass sees 512 px of the slide around it, and the
patches see what they see in any run; both are compared on the field's tissue alone. Where a distance from
tissue is given, the network looks no further than that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from machine import keep
from PIL import Image

from wsi_seg.inference.fast.windows import Windows
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.region import looked_at, mirrored
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.slides.overview import Overview
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask

OFFERED: list[tuple[int, int, int | None]] = [
    *((512, 0, None), (512, 32, None), (512, 64, None), (512, 128, None)),
    *((1024, 0, None), (1024, 32, None), (1024, 64, None), (1024, 96, None), (1024, 128, None)),
    *((1280, 96, None), (1536, 64, None), (1536, 96, None), (2048, 64, None), (2048, 96, None)),
    *((2048, 128, None), (1024, 96, 96), (1664, 128, 128), (2048, 64, 64), (2048, 96, 96), (2048, 128, 64)),
    *((2048, 128, 96), (2048, 128, 128)),
]
DEFAULTS = {(1024, 96, None): "default of plain networks", (1664, 128, 128): "default of compiled ones"}
CONTEXT = 512
NEAR = 16


def whole_pass(slide: Slide, segmenter: Segmenter, frames: Frames, field: Rect) -> np.ndarray:
    wide = field.padded(CONTEXT).clipped(*frames.label_size)
    # Where a pass over the whole slide would have its strides; a start in between shifts all answers a bit.
    y0, x0 = -(-wide.y0 // 32) * 32, -(-wide.x0 // 32) * 32
    wide = Rect(y0, x0, wide.y1 - (wide.y1 - y0) % 8, wide.x1 - (wide.x1 - x0) % 8)
    labels: np.ndarray = segmenter(slide.read(wide, frames).rgb[None]).labels[0]
    return labels[field.relative_to(wide).slices]


def by_patches(
    slide: Slide, segmenter: Segmenter, frames: Frames, field: Rect, lattice: Lattice, tissue: TissueMask
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((field.height, field.width), dtype=np.uint8)
    near = np.zeros_like(labels, dtype=bool)
    width, height = frames.label_size
    for region in lattice.regions():
        for patch in region.patches():
            part = patch.core.intersection(field)
            if part.area == 0:
                continue
            rows = mirrored(patch.rect.y0, patch.rect.y1, height)
            columns = mirrored(patch.rect.x0, patch.rect.x1, width)
            box = Rect(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
            rgb = slide.read(box, frames).rgb[(rows - box.y0)[:, None], columns - box.x0]
            seen = looked_at(patch, lattice, tissue)
            windows = [Windows(seen, seen)] if segmenter.windowed else None
            core = segmenter(rgb[None], margin=lattice.halo, windows=windows).labels[0]
            labels[part.relative_to(field).slices] = core[part.relative_to(patch.core).slices]
            inner = patch.core.padded(-NEAR).intersection(field)
            border = np.ones((part.height, part.width), dtype=bool)
            border[inner.relative_to(part).slices] = False
            near[part.relative_to(field).slices] = border
    return labels, near


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slide", type=Path)
    parser.add_argument("--model", default="breast-demo")
    parser.add_argument("--field", type=int, nargs=4, default=[0, 0, 4096, 4608])
    parser.add_argument("--picture", type=Path, help="where to draw the default's differences")
    args = parser.parse_args()
    bundle = load_bundle(resolve_model(args.model))
    segmenter = Segmenter(bundle, torch.device("cpu"))
    lines = [
        "| patch | halo | around tissue | cost | differs | within 16 px of a core's border | elsewhere |",
        "|--" * 7 + "|",
    ]
    with Slide(args.slide) as slide:
        frames = slide.frames(bundle.input.mpp or 2.0)
        x, y, width, height = args.field
        field = Rect(y, x, y + height, x + width).clipped(*frames.label_size)
        field = Rect(field.y0, field.x0, field.y1 // 8 * 8, field.x1 // 8 * 8)  # as networks take it
        expected = whole_pass(slide, segmenter, frames, field)
        tissue = Overview(slide, frames).tissue
        inside = tissue.at(field)
        for patch, halo, around in OFFERED:
            lattice = Lattice(*frames.label_size, patch, halo, 1, around)
            labels, near = by_patches(slide, segmenter, frames, field, lattice, tissue)
            wrong = (labels != expected) & inside
            name = DEFAULTS.get((patch, halo, around))
            mark = f" ({name})" if name else ""
            lines.append(
                f"| {patch}{mark} | {halo} | {around or 'all'} | {(patch / lattice.core) ** 2:.2f} "
                f"| {100 * wrong[inside].mean():.3f} % | {100 * wrong[near & inside].mean():.3f} % "
                f"| {100 * wrong[~near & inside].mean():.3f} % |"
            )
            print(lines[-1], flush=True)
            if name and args.picture:
                picture = slide.read(field, frames).rgb.copy()
                picture[wrong] = (0, 255, 0)
                Image.fromarray(picture).save(args.picture)
    keep(
        "seams",
        f"Model {bundle.name}, {args.slide.name} at {frames.label_mpp[0]:.3f} um per px, field "
        f"of {field.width} x {field.height} px. Share of pixels "
        "of tissue whose class is not that of one pass over the whole field. "
        "Cost: patch area over core area.\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()

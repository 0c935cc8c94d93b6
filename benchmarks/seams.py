"""Do patches show? Labels from cores with halos against one pass over the whole field.

    python benchmarks/seams.py SLIDE [--model M] [--field X Y WIDTH HEIGHT]

The field is in label pixels of the slide. The whole pass sees 512 px of the slide around it, and the
patches see what they see in any run; both are compared inside the field alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from machine import keep
from PIL import Image

from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.region import mirrored
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.slides.slide import Slide

OFFERED = [(512, 0), (512, 32), (512, 64), (512, 128)]
OFFERED += [(1024, 0), (1024, 32), (1024, 64), (1024, 96), (1024, 128)]
OFFERED += [(1280, 96), (1536, 64), (1536, 96), (2048, 64), (2048, 128)]
DEFAULT = (1024, 96)
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
    slide: Slide, segmenter: Segmenter, frames: Frames, field: Rect, lattice: Lattice
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
            core = segmenter(rgb[None], margin=lattice.halo).labels[0]
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
    parser.add_argument("--field", type=int, nargs=4, default=[900, 1900, 1536, 2048])
    parser.add_argument("--picture", type=Path, help="where to draw the default's differences")
    args = parser.parse_args()
    bundle = load_bundle(resolve_model(args.model))
    segmenter = Segmenter(bundle, torch.device("cpu"))
    lines = [
        "| patch | halo | cost | differs | within 16 px of a core's border | elsewhere |",
        "|--" * 6 + "|",
    ]
    with Slide(args.slide) as slide:
        frames = slide.frames(bundle.input.mpp or 2.0)
        x, y, width, height = args.field
        field = Rect(y, x, y + height, x + width).clipped(*frames.label_size)
        expected = whole_pass(slide, segmenter, frames, field)
        for patch, halo in OFFERED:
            lattice = Lattice(*frames.label_size, patch, halo, 1)
            labels, near = by_patches(slide, segmenter, frames, field, lattice)
            wrong = labels != expected
            mark = " (default)" if (patch, halo) == DEFAULT else ""
            lines.append(
                f"| {patch}{mark} | {halo} | {(patch / lattice.core) ** 2:.2f} | {100 * wrong.mean():.3f} % "
                f"| {100 * wrong[near].mean():.3f} % | {100 * wrong[~near].mean():.3f} % |"
            )
            print(lines[-1], flush=True)
            if mark and args.picture:
                picture = slide.read(field, frames).rgb.copy()
                picture[wrong] = (0, 255, 0)
                Image.fromarray(picture).save(args.picture)
    keep(
        "seams",
        f"Model {bundle.name}, {args.slide.name} at {frames.label_mpp[0]:.3f} um per px, field "
        f"of {field.width} x {field.height} px. Share of pixels "
        "whose class is not that of one pass over the whole field. "
        "Cost: patch area over core area.\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()

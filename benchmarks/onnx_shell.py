"""Why `wsi-seg predict` and lavlab-shell's own command give other classes for one slide: step by step.

    python benchmarks/onnx_shell.py SLIDE NETWORK.onnx MODEL.safetensors RAW.tiff OUT.json

Needs lavlab-shell's packages on its path. NETWORK.onnx is the network that lavlab-shell ships,
MODEL.safetensors what `models import` makes of it with SLIDE's stain separation in front, RAW.tiff what its
own command writes by `--save-raw`. Each step does one thing more as its own command does it. OUT.json says
after each step which share of the pixels has the class that the command gives: of all labels, and of those
that the command's tissue mask leaves, to which it also restricts what `--save-raw` writes.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_networks as networks
import tifffile

import wsi_seg as ws
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW, TILE = 1024, 2048
"""The sides of its windows, and of its tiles: the windows of a tile overlap by half, and are blended."""

LEAST_TISSUE, OVERLAP = 0.05, (0.25, 0.5)
"""Its command's own: the share of tissue that a tile must have, and how much tiles overlap."""


class Tiles:
    """A slide's tiles as lavlab-shell cuts and stains them."""

    def __init__(self, slide: Path) -> None:
        import pyvips
        from shell.infer_wsi import get_mask_aware_tile_positions
        from shell.transforms import detect_background, estimate_stain_params

        small = networks.thumbnail(slide)
        glass = detect_background(small)
        self.stains = estimate_stain_params(small, bg_mask=glass)
        self.rgb = networks.pixels(networks.working(slide))
        mask = pyvips.Image.new_from_array((~glass).astype(np.uint8))
        (height, width), (rows, columns) = self.rgb.shape[:2], glass.shape
        enlarged = mask.resize(width / columns, vscale=height / rows, kernel="nearest")
        self.tissue: np.ndarray = enlarged.numpy().astype(bool)
        self.places = get_mask_aware_tile_positions(self.tissue, TILE, *OVERLAP, LEAST_TISSUE)

    def stained(self, x: int, y: int) -> np.ndarray:
        """Return eosin, haematoxylin and optical density of a tile, in whole numbers up to 255."""
        from shell.transforms import apply_eho_chunked

        tile = np.ascontiguousarray(self.rgb[y : y + TILE, x : x + TILE])
        stained: np.ndarray = apply_eho_chunked(tile, **self.stains)
        return stained.transpose(2, 0, 1).astype(np.float32)


def scaled(stained: np.ndarray) -> np.ndarray:
    """Scale each channel by its own extremes."""
    low, high = (pick(axis=(1, 2), keepdims=True) for pick in (stained.min, stained.max))
    numbers: np.ndarray = (stained - low) / np.maximum(high - low, 1e-8)
    return numbers


def classes_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where its command finds epithelium, and where stroma: both may hold."""
    epithelium, stroma, glass = scores
    return (epithelium > 0) & (epithelium > glass), (stroma > 0) & (stroma > glass)


class Canvas:
    """The classes of a slide, put together from tiles."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.found = np.zeros((2, *shape), np.bool_)
        self.distance = np.full(shape, np.inf)

    def nearest(self, found: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
        """A pixel has the class that the tile gives whose centre is nearest."""
        height, width = found[0].shape
        rows, columns = (np.abs(np.arange(n) - n / 2) for n in (height, width))
        distance = np.maximum(rows[:, None], columns[None])
        here = np.s_[y : y + height, x : x + width]
        closer = distance < self.distance[here]
        self.distance[here][closer] = distance[closer]
        for layer, each in zip(self.found, found, strict=True):
            layer[here][closer] = each[closer]

    def any(self, found: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
        """A pixel has a class that any of its tiles gives."""
        for layer, each in zip(self.found, found, strict=True):
            layer[y : y + each.shape[0], x : x + each.shape[1]] |= each

    def classes(self) -> np.ndarray:
        """Return 1 for epithelium, which goes before stroma, 2; else 0."""
        return np.where(self.found[0], 1, np.where(self.found[1], 2, 0))


def steps(slide: Path, tiles: Tiles, network: Path, model: Path) -> dict[str, np.ndarray]:
    """Return the classes of the slide after each step, by what the step does as the command does it."""
    from monai.data.utils import compute_importance_map

    shape = (tiles.rgb.shape[0], tiles.rgb.shape[1])
    ours = ws.load_model(model)
    with Slide(slide) as opened:
        frames = opened.frames(2.0)
        width, height = frames.label_size
        rgb = opened.read(Rect(0, 0, height, width), frames).rgb
    done = {"nothing": ours.segment(rgb), "pixels": ours.segment(tiles.rgb)}
    run = session(network)
    names = ("windows and tiles", "extremes of tiles", "blended windows", "classes of all tiles")
    own, tile, blended, joined = canvases = [Canvas(shape) for _ in names]
    weight = compute_importance_map((WINDOW, WINDOW), mode="gaussian", sigma_scale=0.125).numpy()
    starts = range(0, TILE - WINDOW + 1, WINDOW // 2)
    for x, y in tiles.places:
        stained = tiles.stained(x, y)
        whole = scaled(stained)
        total, weights = np.zeros((3, TILE, TILE)), np.zeros((TILE, TILE))
        alone, of_tile = Canvas((TILE, TILE)), Canvas((TILE, TILE))
        for row, column in product(starts, starts):
            here = np.s_[:, row : row + WINDOW, column : column + WINDOW]
            alone.nearest(classes_of(run(scaled(stained[here]))), column, row)
            scores = run(whole[here])
            of_tile.nearest(classes_of(scores), column, row)
            total[here] += scores * weight
            weights[here[1:]] += weight
        own.nearest((alone.found[0], alone.found[1]), x, y)
        tile.nearest((of_tile.found[0], of_tile.found[1]), x, y)
        mixed = classes_of(total / weights)
        blended.nearest(mixed, x, y)
        joined.any(mixed, x, y)
    return done | {name: canvas.classes() for name, canvas in zip(names, canvases, strict=True)}


def session(network: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a window's three channels to its three scores."""
    import onnxruntime

    held = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    name = held.get_inputs()[0].name

    def run(window: np.ndarray) -> np.ndarray:
        scores: np.ndarray = held.run(None, {name: np.ascontiguousarray(window[None], np.float32)})[0][0]
        return scores

    return run


def alike(classes: np.ndarray, raw: np.ndarray) -> float:
    """Return the share of pixels whose class is the command's, at the pixel's centre."""
    rows, columns = (
        ((np.arange(n) + 0.5) * side / n).astype(int)
        for n, side in zip(classes.shape, raw.shape, strict=True)
    )
    return float((classes == raw[rows][:, columns]).mean())


def restricted(classes: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Take what lies outside of tissue for background, by the command's own function."""
    from shell.post_process import restrict_predictions_to_tissue

    rows, columns = (
        np.minimum(np.arange(n) * side // n, side - 1)
        for n, side in zip(classes.shape, tissue.shape, strict=True)
    )
    inner, outer, *_ = restrict_predictions_to_tissue(classes == 1, classes == 2, tissue[rows][:, columns])
    return np.where(inner, 1, np.where(outer, 2, 0))


def main() -> None:
    slide, network, model, raw, out = map(Path, sys.argv[1:])
    inner, outer, _ = np.moveaxis(tifffile.imread(raw) > 0, -1, 0)
    theirs = np.where(inner, 1, np.where(outer, 2, 0)).astype(np.uint8)
    tiles = Tiles(slide)
    shares = {
        name: [alike(classes, theirs), alike(restricted(classes, tiles.tissue), theirs)]
        for name, classes in steps(slide, tiles, network, model).items()
    }
    out.write_text(json.dumps(shares, indent=1))
    print(out.read_text())


if __name__ == "__main__":
    main()

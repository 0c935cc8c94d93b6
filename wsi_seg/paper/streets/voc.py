"""PASCAL VOC 2012: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.data.dataset_layout import Layout, Pair
from wsi_seg.data.masks import code_of_names
from wsi_seg.data.tile_folders import read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.data.dataset_layout import Faults
    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The classes, by the masks' values."""

PALETTE = bytes(
    sum(((value >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3))
    for value in range(256)
    for channel in range(3)
)
"""Red, green and blue of each value, as in the official masks: three of its bits make a channel."""

MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug")
"""The official masks, and those of the usual extended set, which `trainaug` lists."""


def _root(folder: Path) -> Path | None:
    candidates = (folder, folder / "VOC2012", folder / "VOCdevkit" / "VOC2012")
    return next((path for path in candidates if _images(path).is_dir() and _lists(path).is_dir()), None)


def _images(folder: Path) -> Path:
    return folder / "JPEGImages"


def _lists(folder: Path) -> Path:
    return folder / "ImageSets" / "Segmentation"


def _splits(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _lists(folder).glob("*.txt")))


def _pairs(folder: Path, split: str, faults: Faults) -> list[Pair]:
    found = []
    for line in read_lines(_lists(folder) / f"{split}.txt"):
        if not (name := line.strip()):
            continue
        image = _images(folder) / f"{name}.jpg"
        masks = [folder / kind / f"{name}.png" for kind in MASK_FOLDERS]
        mask = next((path for path in masks if path.is_file()), None)
        if not image.is_file():
            faults.add("images that are listed but missing", image.name)
        elif mask is None and split != "test":
            faults.add("images without a mask", image.name)
        else:
            found.append(Pair(image, mask))
    return found


def _coding(schema: ClassSchema, pair: Pair) -> MaskCoding:
    return code_of_names(schema, dict(enumerate(NAMES)))


VOC = Layout("voc", "voc", _root, _splits, _pairs, _coding, NAMES)

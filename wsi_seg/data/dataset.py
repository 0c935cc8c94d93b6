"""Data sets of plain images with masks: found, read and checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.data.cut_tiles import read_about
from wsi_seg.data.dataset_kinds import layouts
from wsi_seg.data.dataset_layout import Faults
from wsi_seg.data.soundness import sound_sources
from wsi_seg.data.tile_folders import CLASSES_FILE
from wsi_seg.errors import AnnotationError, MissingError, UsageError
from wsi_seg.models.classes import load_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.data.dataset_layout import Layout
    from wsi_seg.data.masked_images import LabelledImage
    from wsi_seg.models.classes import ClassSchema

NAMES_SHOWN = 5
"""Number of entries of a folder that an error names."""


@dataclass(frozen=True)
class Dataset:
    """A split of a data set.

    Attributes
    ----------
    kind : str
        One of `wsi_seg.data.dataset_kinds.KINDS`.
    folder : Path
    split : str
    schema : ClassSchema
    sources : tuple of LabelledImage
        Checked: they can be read, and their masks hold classes of the schema only.
    diagnoses : tuple of int, or None
        Class of each image as a whole, if the data set has it.
    mpp : float or None
        Micrometres per pixel, for tiles cut by `wsi-seg tiles`.
    """

    kind: str
    folder: Path
    split: str
    schema: ClassSchema
    sources: tuple[LabelledImage, ...]
    diagnoses: tuple[int, ...] | None = None
    mpp: float | None = None


def read_dataset(
    folder: Path,
    split: str,
    schema: ClassSchema | None = None,
    kind: str | None = None,
    otherwise: ClassSchema | None = None,
) -> Dataset:
    """Find the images and masks of a data set, and check them all.

    Parameters
    ----------
    folder : Path
    split : str
        "train", "val" or "test"; for VOC any of its lists.
    schema : ClassSchema, optional
        Classes to read it with. By default those in the folder's ``classes.yaml``, or the kind's own.
    kind : str, optional
        One of `wsi_seg.data.dataset_kinds.KINDS`; by default it is detected from the layout.
    otherwise : ClassSchema, optional
        Classes to use if neither the caller nor the data set gives them, such as a model's.

    Raises
    ------
    UsageError
        If the folder is not such a data set, lacks the split, or has no class schema.
    AnnotationError
        If anything is wrong with its content: one line with all of it.
    """
    return read_splits(folder, (split,), schema, kind, otherwise)[0]


def read_splits(
    folder: Path,
    splits: Sequence[str],
    schema: ClassSchema | None = None,
    kind: str | None = None,
    otherwise: ClassSchema | None = None,
) -> tuple[Dataset, ...]:
    """Do the same as `read_dataset` for several splits; the faults of all of them are in one line."""
    layout, root = _recognised(folder, schema, kind)
    available = layout.splits(root)
    for absent in (split for split in splits if split not in available):
        there = ", ".join(available) or "none at all"
        remedy = f"give --split {' or '.join(available)}" if available else "name another folder"
        raise UsageError(f"{folder}: has no split {absent!r} (it has {there}): {remedy}")
    schema = schema or _default_schema(root, layout) or otherwise
    if schema is None:
        raise UsageError(
            f"{folder}: the meaning of its masks' values is not known: give --classes, or put {CLASSES_FILE} "
            "there"
        )
    if lacking := _lacking(schema, layout):
        raise AnnotationError(
            f"{folder}: holds classes that the schema {schema.name!r} lacks, {', '.join(lacking)}: "
            "add them or aliases to the schema, or use another"
        )
    faults = Faults()
    pairs = [layout.pairs(root, split, faults) for split in splits]
    sources = [sound_sources(own, schema, layout, faults) for own in pairs]
    if faults:
        raise AnnotationError(f"{folder}: {faults}: repair or remove these, and start again")
    about = read_about(root)
    datasets = []
    for split, own, sound in zip(splits, pairs, sources, strict=True):
        if not sound:
            raise AnnotationError(f"{folder}: its split {split!r} holds no images: add some")
        diagnoses = tuple(pair.diagnosis for pair in own if pair.diagnosis is not None) or None
        mpp = None if about is None else about.mpp
        datasets.append(Dataset(layout.kind, root, split, schema, tuple(sound), diagnoses, mpp))
    return tuple(datasets)


def dataset_splits(
    folder: Path, schema: ClassSchema | None = None, kind: str | None = None
) -> tuple[str, ...]:
    """Return the splits that `read_dataset` takes for a folder.

    Raises
    ------
    UsageError
        If the folder is not such a data set.
    """
    layout, root = _recognised(folder, schema, kind)
    return layout.splits(root)


def _recognised(folder: Path, schema: ClassSchema | None, kind: str | None) -> tuple[Layout, Path]:
    """Return the kind of a data set, and its place in the folder."""
    if not folder.is_dir():
        raise MissingError(f"{folder}: no such folder: give a data set's")
    for layout in layouts(kind):
        root = layout.root(folder)
        doubtful = kind is None and layout.known_by_classes
        if root and not (doubtful and schema is not None and _lacking(schema, layout)):
            return layout, root
    inside = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    holds = ", ".join(inside[:NAMES_SHOWN]) + (" ..." if len(inside) > NAMES_SHOWN else "")
    raise UsageError(
        f"{folder}: not laid out as {kind or 'any known data set'} (it holds "
        f"{holds or 'nothing'}): give a folder that holds images/ and masks/, or train.txt, or Cityscapes, "
        "VOC 2012 with its ImageSets/Segmentation, or CamVid as published"
    )


def _lacking(schema: ClassSchema, layout: Layout) -> list[str]:
    return [name for name in layout.names if schema.index_of(name) is None]


def _default_schema(folder: Path, layout: Layout) -> ClassSchema | None:
    own = folder / CLASSES_FILE
    if own.is_file():
        return load_schema(str(own))
    return None if layout.schema is None else load_schema(layout.schema)

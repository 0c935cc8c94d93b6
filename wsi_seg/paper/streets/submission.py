"""Submissions to the benchmark servers of Cityscapes and PASCAL VOC."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.errors import UsageError
from wsi_seg.files.files import replacing
from wsi_seg.paper.streets.cityscapes import LABEL_IDS
from wsi_seg.paper.streets.voc import NAMES, PALETTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from wsi_seg.data.sources import Source
    from wsi_seg.models.classes import ClassSchema

CITYSCAPES_UNLABELLED = 0
VOC_FOLDER = Path("results/VOC2012/Segmentation/comp6_test_cls")
"""comp6: trained on any data."""

VOC_ARCHIVE = "results.tar"


class CityscapesSubmission:
    """Pictures of label ids, ``<city>_<sequence>_<frame>_labelIds.png``.

    Parameters
    ----------
    folder : Path
    schema : ClassSchema
        The classes of the class indices. Classes that Cityscapes does not score, such as void, become
        "unlabeled".
    """

    def __init__(self, folder: Path, schema: ClassSchema) -> None:
        self._folder = folder
        self._ids = _table(schema, LABEL_IDS, CITYSCAPES_UNLABELLED)

    def add(self, source: Source, classes: NDArray[np.uint8]) -> Path:
        """Write the prediction for one image; see `wsi_seg.evaluation.benchmarks.Submission`."""
        path = self._folder / f"{source.name.removesuffix('_leftImg8bit')}_labelIds.png"
        with replacing(path) as partial:
            Image.fromarray(np.take(self._ids, classes)).save(partial, "PNG")
        return path

    def close(self) -> Path:
        """Return the folder."""
        return self._folder


class VocSubmission:
    """Palette pictures in the official folders, and ``results.tar`` of these.

    Parameters
    ----------
    folder : Path
    schema : ClassSchema
        The classes of the class indices. Classes that VOC lacks become background.
    """

    def __init__(self, folder: Path, schema: ClassSchema) -> None:
        self._folder = folder
        self._values = _table(schema, {name: value for value, name in enumerate(NAMES)}, 0)
        self._written: list[Path] = []

    def add(self, source: Source, classes: NDArray[np.uint8]) -> Path:
        """Write the prediction for one image; see `wsi_seg.evaluation.benchmarks.Submission`."""
        path = self._folder / VOC_FOLDER / f"{source.name}.png"
        picture = Image.fromarray(np.take(self._values, classes))
        picture.putpalette(PALETTE)
        with replacing(path) as partial:
            picture.save(partial, "PNG")
        self._written.append(path)
        return path

    def close(self) -> Path:
        """Pack the predictions, and return the archive."""
        archive = self._folder / VOC_ARCHIVE
        with replacing(archive) as partial, tarfile.open(partial, "w") as tar:
            for path in sorted(self._written):
                tar.add(path, path.relative_to(self._folder).as_posix(), filter=_anonymous)
        return archive


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out owner and time, so that the same pictures make the same archive."""
    return member.replace(deep=False, mtime=0, mode=0o644, uid=0, gid=0, uname="", gname="")


def _table(schema: ClassSchema, value_of: Mapping[str, int], other: int) -> NDArray[np.uint8]:
    """Return the value that is written for each class index, shape (256,)."""
    table = np.full(256, other, np.uint8)
    named = {schema.index_of(name): value for name, value in value_of.items()}
    if not named.keys() - {None}:
        raise UsageError(
            f"the class schema {schema.name!r} has no class that the server knows: use another model"
        )
    for index, value in named.items():
        if index is not None:
            table[index] = value
    return table

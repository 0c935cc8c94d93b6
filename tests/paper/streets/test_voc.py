from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import save
from numpy.typing import NDArray
from PIL import Image

from wsi_seg.data.dataset import dataset_splits, read_dataset
from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError
from wsi_seg.models.classes import load_schema
from wsi_seg.paper.streets.voc import NAMES, PALETTE
from wsi_seg.slides.lattice import Rect

VALUES = np.array([[0, 20, 255], [7, 15, 0]], np.uint8)


def write(
    folder: Path,
    name: str,
    values: NDArray[np.uint8] = VALUES,
    masks: str = "SegmentationClass",
    palette: list[int] | None = None,
) -> None:
    save(folder / "JPEGImages" / f"{name}.jpg", np.zeros((2, 3, 3), np.uint8))
    save(folder / masks / f"{name}.png", values, palette)


def lists(folder: Path, **names: Sequence[str]) -> None:
    (folder / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
    for split, members in names.items():
        (folder / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(members) + "\n")


def test_the_palette_is_that_of_the_official_masks(shared_data: Path) -> None:
    seen = 0
    for path in (shared_data / "voc/VOC2012/SegmentationClass").glob("*.png"):
        with Image.open(path) as image:
            if image.mode == "P":
                assert bytes(image.getpalette() or []) == PALETTE
                seen += 1
    assert seen == 5
    schema = load_schema("voc")
    assert schema.ids == tuple(range(21))
    assert tuple(c.name for c in schema.classes) == NAMES
    assert [bytes(c.color) for c in schema.classes] == [PALETTE[3 * i : 3 * i + 3] for i in range(21)]


@pytest.mark.parametrize("place", ["", "VOC2012", "VOCdevkit/VOC2012"])
@pytest.mark.parametrize("palette", [None, list(PALETTE)])
def test_masks_of_values_and_palette_masks(tmp_path: Path, place: str, palette: list[int] | None) -> None:
    folder = tmp_path / place
    write(folder, "2007_000001", palette=palette)
    lists(folder, train=["2007_000001", ""], val=[])
    assert dataset_splits(tmp_path) == ("train", "val")
    (source,) = read_dataset(tmp_path, "train").sources
    assert source.read(Rect(0, 0, 2, 3)).classes.tolist() == VALUES.tolist()


def test_the_extended_set(tmp_path: Path) -> None:
    write(tmp_path, "2007_000001")
    write(tmp_path, "2008_000002", masks="SegmentationClassAug")
    lists(tmp_path, trainaug=["2008_000002", "2007_000001"])
    dataset = read_dataset(tmp_path, "trainaug")
    assert [s.mask and s.mask.parent.name for s in dataset.sources] == [
        "SegmentationClassAug",
        "SegmentationClass",
    ]


def test_faults(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", values=VALUES + np.uint8(2))
    write(tmp_path, "c")
    (tmp_path / "SegmentationClass/c.png").unlink()
    lists(tmp_path, val=["a", "b", "c", "d"], test=["c"])
    with pytest.raises(AnnotationError) as caught:
        read_dataset(tmp_path, "val")
    assert str(caught.value).startswith(
        f"{tmp_path}: images without a mask (1): c.jpg; images that are listed but missing (1): d.jpg; "
        "masks with values that are not a class of 'voc' (1): b.png (22): repair"
    )
    (source,) = read_dataset(tmp_path, "test").sources
    assert (source.read(Rect(0, 0, 2, 3)).classes == IGNORE).all()


def test_real_photographs(shared_data: Path) -> None:
    train, val = (read_dataset(shared_data / "voc", split) for split in ("train", "val"))
    assert (train.kind, train.folder.name, len(train.sources), len(val.sources)) == (
        "voc",
        "VOC2012",
        4,
        2,
    )
    contents = {}
    for source in (*train.sources, *val.sources):
        classes = source.read(Rect(0, 0, source.size[1], source.size[0])).classes
        assert source.mask is not None
        with Image.open(source.mask) as image:
            assert np.array_equal(np.asarray(image), classes)
        contents[source.name] = {NAMES[i] for i in np.unique(classes) if i != IGNORE}
    assert contents == {
        "2007_000129": {"background", "bicycle", "person"},
        "2007_004189": {"background", "dog"},
        "2007_006171": {"background", "dog", "person", "sofa"},
        "2007_006449": {"background", "bicycle"},
        "2008_002536": {"background", "dog", "sheep"},
        "2010_005582": {"background", "bottle", "person"},
    }

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels, trainId2label
from helpers.pictures import save
from numpy.typing import NDArray
from PIL import Image

from wsi_seg.data.dataset import dataset_splits, read_dataset
from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError
from wsi_seg.models.classes import load_schema
from wsi_seg.paper.streets.cityscapes import LABEL_IDS
from wsi_seg.slides.lattice import Rect

CLASS_OF_ID = {label.id: label.trainId for label in labels if label.id >= 0}
WHOLE = Rect(0, 0, 1024, 2048)


def write(folder: Path, kinds: Iterable[str], split: str = "train", name: str = "ulm_000001_000019") -> None:
    """Write an image whose mask's columns hold each label id in turn."""
    ids = np.arange(34, dtype=np.uint8).reshape(1, -1)
    forms: dict[str, NDArray[Any]] = {
        "labelIds": ids,
        "labelTrainIds": np.array([[CLASS_OF_ID[i] for i in range(34)]], np.uint8),
        "instanceIds": np.where(ids >= 24, ids * np.uint16(1000) + 7, ids).astype(np.uint16),
        "color": np.zeros((1, 34, 3), np.uint8),
    }
    image = folder / "leftImg8bit" / split / "ulm" / f"{name}_leftImg8bit.png"
    save(image, np.zeros((1, 34, 3), np.uint8))
    for kind in kinds:
        save(folder / "gtFine" / split / "ulm" / f"{name}_gtFine_{kind}.png", forms[kind])


def test_the_schemas_are_the_official_ones() -> None:
    schema = load_schema("cityscapes")
    assert [(c.id, c.name, c.color) for c in schema.classes] == [
        (i, trainId2label[i].name, trainId2label[i].color) for i in range(19)
    ]
    assert {name: trainId2label[i].id for i, name in enumerate(LABEL_IDS)} == LABEL_IDS
    assert list(LABEL_IDS) == [c.name for c in schema.classes]
    theirs = load_schema("cityscapes-void")
    assert theirs.classes[:19] == schema.classes
    assert (theirs.classes[19].id, theirs.classes[19].name, theirs.background) == (19, "void", "void")


@pytest.mark.parametrize(
    "kinds",
    [
        ("labelIds",),
        ("instanceIds",),
        ("labelTrainIds",),
        ("labelIds", "instanceIds", "labelTrainIds", "color"),
    ],
)
@pytest.mark.parametrize("schema", [None, "cityscapes-void"])
def test_every_label_id_in_every_form(tmp_path: Path, kinds: Iterable[str], schema: str | None) -> None:
    write(tmp_path, kinds)
    dataset = read_dataset(tmp_path, "train", load_schema(schema) if schema else None)
    (source,) = dataset.sources
    assert source.name == "ulm_000001_000019_leftImg8bit"
    assert source.read(Rect(0, 0, 1, 34)).classes.tolist() == [[CLASS_OF_ID[i] for i in range(34)]]
    assert (source.instances is not None) == ("instanceIds" in kinds)


def test_faults(tmp_path: Path) -> None:
    write(tmp_path, ["labelIds"])
    write(tmp_path, [], name="ulm_000002_000019")
    write(tmp_path, ["labelIds"], name="ulm_000003_000019")
    (tmp_path / "leftImg8bit/train/ulm/ulm_000003_000019_leftImg8bit.png").unlink()
    write(tmp_path, ["labelIds"], name="ulm_000004_000019")
    save(tmp_path / "gtFine/train/ulm/ulm_000004_000019_gtFine_labelIds.png", np.full((1, 34), 34, np.uint8))
    with pytest.raises(AnnotationError) as caught:
        read_dataset(tmp_path, "train")
    assert str(caught.value).startswith(
        f"{tmp_path}: images without a mask (1): ulm_000002_000019_leftImg8bit.png; "
        "masks without an image (1): ulm_000003_000019_gtFine_labelIds.png; masks with values that are not a "
        "class of 'cityscapes' (1): ulm_000004_000019_gtFine_labelIds.png (34): repair"
    )


def test_the_truth_of_the_test_set_is_held_back(tmp_path: Path) -> None:
    write(tmp_path, [], split="test")
    assert dataset_splits(tmp_path) == ("test",)
    (source,) = read_dataset(tmp_path, "test").sources
    assert source.mask is None
    assert (source.read(Rect(0, 0, 1, 34)).classes == IGNORE).all()


def test_real_streets(shared_data: Path) -> None:
    folder = shared_data / "cityscapes"
    assert dataset_splits(folder) == ("train", "val")
    train, val = (read_dataset(folder, split) for split in ("train", "val"))
    assert (train.kind, train.schema.name) == ("cityscapes", "cityscapes")
    assert [len(train.sources), len(val.sources)] == [4, 1]
    for source in (*train.sources, *val.sources):
        assert source.size == (2048, 1024)
        assert source.instances is not None
        with Image.open(source.instances) as image:
            ids = np.asarray(image)
        expected = np.full(ids.shape, IGNORE, np.uint8)
        for label in labels:
            if 0 <= label.trainId < 19:
                expected[(ids == label.id) | ((ids >= 1000) & (ids // 1000 == label.id))] = label.trainId
        assert np.array_equal(source.read(WHOLE).classes, expected)

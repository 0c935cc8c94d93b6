from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import SCHEMA, save, save_pair
from PIL import Image

from wsi_seg.data.dataset import dataset_splits, read_dataset
from wsi_seg.data.sources import IGNORE
from wsi_seg.models.classes import load_schema
from wsi_seg.paper.streets.camvid import NAMES
from wsi_seg.slides.lattice import Rect

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 4)
CLASSES = [*range(11), IGNORE]


def test_void_is_unknown(tmp_path: Path) -> None:
    save_pair(tmp_path / "train/a.png", tmp_path / "trainannot/a.png", VALUES)
    dataset = read_dataset(tmp_path, "train")
    assert (dataset.kind, dataset.schema) == ("camvid", load_schema("camvid"))
    assert dataset.sources[0].read(Rect(0, 0, 3, 4)).classes.ravel().tolist() == CLASSES


def test_the_lists_of_segnet(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        save_pair(tmp_path / split / "a.png", tmp_path / f"{split}annot" / "a.png", VALUES)
        save(tmp_path / split / "unlisted.png", VALUES)
        line = f"/SegNet/CamVid/{split}/a.png /SegNet/CamVid/{split}annot/a.png\n"
        (tmp_path / f"{split}.txt").write_text(line)
    assert dataset_splits(tmp_path) == ("train", "val", "test")
    dataset = read_dataset(tmp_path, "test")
    assert dataset.kind == "camvid"
    assert [source.image for source in dataset.sources] == [tmp_path / "test/a.png"]


def test_other_tiles_may_be_laid_out_alike(tmp_path: Path) -> None:
    save_pair(tmp_path / "train/a.png", tmp_path / "trainannot/a.png")
    dataset = read_dataset(tmp_path, "train", SCHEMA)
    assert (dataset.kind, dataset.schema) == ("tiles", SCHEMA)


def test_the_authors_schema_has_void_besides() -> None:
    schema, theirs = load_schema("camvid"), load_schema("camvid-void")
    assert theirs.classes[:11] == schema.classes
    assert (theirs.classes[11].id, theirs.classes[11].name, theirs.background) == (11, "void", "void")


@pytest.mark.parametrize("schema", ["camvid", "camvid-void"])
def test_void_is_unknown_to_their_network_too(tmp_path: Path, schema: str) -> None:
    save_pair(tmp_path / "train/a.png", tmp_path / "trainannot/a.png", VALUES)
    dataset = read_dataset(tmp_path, "train", load_schema(schema))
    assert dataset.sources[0].read(Rect(0, 0, 3, 4)).classes.ravel().tolist() == CLASSES


def test_the_names_of_cityscapes_will_do() -> None:
    schema = load_schema("camvid")
    assert [schema.index_of(name) for name in ("sidewalk", "vegetation", "person")] == [4, 5, 9]


def test_real_streets(shared_data: Path) -> None:
    schema = load_schema("camvid")
    assert tuple(c.name for c in schema.classes) == NAMES
    for split, count in (("train", 74), ("val", 101)):
        dataset = read_dataset(shared_data / "camvid", split)
        assert len(dataset.sources) == count
        assert all(source.size == (480, 360) for source in dataset.sources)
        source = dataset.sources[count // 2]
        classes = source.read(Rect(0, 0, 360, 480)).classes
        assert source.mask is not None
        with Image.open(source.mask) as image:
            values = np.asarray(image)
        assert np.array_equal(classes, np.where(values == 11, IGNORE, values))
        # The camera looks along a road: sky above, road below.
        assert np.bincount(classes[:90].ravel(), minlength=256)[[0, 1, 5]].sum() > 0.5 * 90 * 480
        assert (classes[330:, 150:330] == 3).mean() > 0.5

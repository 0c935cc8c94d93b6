from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import CLASSES, SCHEMA, VALUES, save, save_pair
from PIL import Image

from wsi_seg.data.dataset import dataset_splits, read_dataset
from wsi_seg.data.dataset_layout import Faults
from wsi_seg.data.tile_folders import pairs, splits
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("train/images", "train/masks"),
        ("images/train", "masks/train"),
        ("train", "trainannot"),
        ("trainrgb", "trainannot"),
    ],
)
def test_pairs_of_folders(tmp_path: Path, images: str, masks: str) -> None:
    save_pair(tmp_path / images / "b.jpg", tmp_path / masks / "b.png")
    save_pair(tmp_path / images / "deep" / "a.tif", tmp_path / masks / "deep" / "a.png")
    (tmp_path / images / "notes.txt").write_text("not an image")
    save(tmp_path / images / "._b.png", VALUES)
    assert splits(tmp_path) == ("train",)
    dataset = read_dataset(tmp_path, "train", SCHEMA)
    assert [source.name for source in dataset.sources] == ["b", "a"]
    assert all(np.array_equal(s.read(Rect(0, 0, 3, 4)).classes, CLASSES) for s in dataset.sources)


def test_splits(tmp_path: Path) -> None:
    for split in ("val", "train"):
        save_pair(tmp_path / split / "images" / f"{split}.png", tmp_path / split / "masks" / f"{split}.png")
    assert splits(tmp_path) == ("train", "val")
    assert [pair.image.stem for pair in pairs(tmp_path, "val", Faults())] == ["val"]


@pytest.mark.parametrize(
    "line",
    [
        "/x/a.png, /y/a.png, 3",
        "x/a.png y/a.png 3",
        "x/a.png\ty/a.png\t3\r",
        "x/a.png,y/a.png,3",
        "/home/someone/data/x/a.png /home/someone/data/y/a.png 3",
    ],
)
def test_lists(tmp_path: Path, line: str) -> None:
    save_pair(tmp_path / "x/a.png", tmp_path / "y/a.png")
    (tmp_path / "val.txt").write_text(f"{line}\n\n", encoding="utf-8-sig")
    dataset = read_dataset(tmp_path, "val", SCHEMA)
    assert [(s.image, s.mask) for s in dataset.sources] == [(tmp_path / "x/a.png", tmp_path / "y/a.png")]
    assert dataset.diagnoses == (3,)


def test_lists_may_name_files_elsewhere_and_with_spaces(tmp_path: Path) -> None:
    save_pair(tmp_path / "my images/a b.png", tmp_path / "masks/a b.png")
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "train.txt").write_text(f"{tmp_path}/my images/a b.png, {tmp_path}/masks/a b.png")
    dataset = read_dataset(folder, "train", SCHEMA)
    assert [source.name for source in dataset.sources] == ["a b"]
    assert dataset.diagnoses is None


def test_a_list_decides_over_folders(tmp_path: Path) -> None:
    for name in "ab":
        save_pair(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.png")
    (tmp_path / "train.txt").write_text("images/b.png,masks/b.png\n")
    assert [source.name for source in read_dataset(tmp_path, "train", SCHEMA).sources] == ["b"]


def test_faults_of_lists(tmp_path: Path) -> None:
    for name in "ab":
        save_pair(tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png")
    lines = [
        "a.png a_mask.png 1",
        "b.png b_mask.png",
        "a.png",
        "a.png a_mask.png benign",
        "c.png a_mask.png 0",
    ]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    with pytest.raises(AnnotationError) as caught:
        read_dataset(tmp_path, "train", SCHEMA)
    assert str(caught.value) == (
        f"{tmp_path}: lines that are not an image, a mask and optionally a diagnosis (a number) (2): "
        "train.txt line 3, train.txt line 4; "
        "images that are listed but missing (1): c.png (train.txt line 5); "
        "images without a diagnosis where others have one (1): b.png: repair or remove these, and start again"
    )
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(AnnotationError, match=r"train\.txt: cannot be read as a list"):
        read_dataset(tmp_path, "train", SCHEMA)


def test_names_that_differ_in_the_suffix_only(tmp_path: Path) -> None:
    save_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png")
    save(tmp_path / "images/a.jpg", VALUES)
    faults = Faults()
    pairs(tmp_path, "train", faults)
    assert "files whose names differ only in the suffix (1)" in str(faults)


def test_the_breast_biopsies(shared_data: Path) -> None:
    folder = shared_data / "breast_biopsy"
    assert dataset_splits(folder) == ("train",)
    dataset = read_dataset(folder, "train")
    assert (dataset.kind, dataset.schema.name) == ("breast-biopsy", "breast-biopsy")
    assert dataset.diagnoses == (0, 0, 0, 0, 0)
    assert len(dataset.sources) == 5
    for source in dataset.sources:
        assert source.size == (384, 384)
        assert source.mask is not None
        with Image.open(source.mask) as image:
            red, green, blue = np.moveaxis(np.asarray(image), -1, 0)
        assert (red == green).all()
        assert (red == blue).all()
        assert np.array_equal(source.read(Rect(0, 0, 384, 384)).classes, red)
        assert red.max() <= 7

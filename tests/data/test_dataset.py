from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.pictures import CLASSES, SCHEMA, VALUES, save, save_pair
from PIL import Image

from wsi_seg.data.dataset import dataset_splits, read_dataset, read_splits
from wsi_seg.data.dataset_layout import Faults
from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError, MissingError, UsageError, WsiSegError
from wsi_seg.models.classes import ClassSchema, load_schema
from wsi_seg.slides.lattice import Rect

WHOLE = Rect(0, 0, 3, 4)


def refused(
    folder: Path,
    split: str = "train",
    schema: ClassSchema | None = SCHEMA,
    kind: str | None = None,
    error: type[WsiSegError] = WsiSegError,
) -> str:
    with pytest.raises(error) as caught:
        read_dataset(folder, split, schema, kind)
    message = str(caught.value)
    assert message.startswith(f"{folder}: ")
    assert "\n" not in message
    return message.removeprefix(f"{folder}: ")


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    folder = tmp_path / "tiles"
    for name in "ab":
        save_pair(folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png")
    return folder


def test_images_and_masks(tiles: Path) -> None:
    dataset = read_dataset(tiles, "train", SCHEMA)
    assert (dataset.kind, dataset.split, dataset.schema) == ("tiles", "train", SCHEMA)
    assert (dataset.folder, dataset.diagnoses) == (tiles, None)
    assert [source.name for source in dataset.sources] == ["a", "b"]
    assert all(source.size == (4, 3) for source in dataset.sources)
    assert all(np.array_equal(source.read(WHOLE).classes, CLASSES) for source in dataset.sources)
    assert pickle.loads(pickle.dumps(dataset)) == dataset


def test_classes_lie_beside_tiles_or_are_given(tiles: Path) -> None:
    assert "give --classes, or put classes.yaml there" in refused(tiles, schema=None, error=UsageError)
    assert read_dataset(tiles, "train", otherwise=SCHEMA).schema == SCHEMA
    own = SCHEMA.model_copy(update={"name": "own"})
    (tiles / "classes.yaml").write_text(yaml.safe_dump(own.model_dump(mode="json")))
    assert read_dataset(tiles, "train").schema == own
    assert read_dataset(tiles, "train", otherwise=SCHEMA).schema == own
    assert read_dataset(tiles, "train", SCHEMA).schema == SCHEMA


def test_all_faults_are_told_at_once(tiles: Path) -> None:
    for name in ("c", "d", "e", "f"):
        save(tiles / "images" / f"{name}.png", np.zeros((3, 4, 3), np.uint8))
    save(tiles / "masks" / "z.png", VALUES)
    save_pair(tiles / "images" / "g.png", tiles / "masks" / "g.png", np.array([[5, 0, 3, 9]], np.uint8))
    save_pair(tiles / "images" / "h.png", tiles / "masks" / "h.png")
    save(tiles / "masks" / "h.png", VALUES.T)
    save_pair(tiles / "images" / "i.jpg", tiles / "masks" / "i.png")
    (tiles / "images" / "i.jpg").write_bytes((tiles / "images" / "i.jpg").read_bytes()[:200])
    save_pair(tiles / "images" / "j.png", tiles / "masks" / "j.jpg")
    message = refused(tiles, error=AnnotationError)
    message = re.sub(r"as an image \(.*?\): give", "as an image (...): give", message)
    assert message == (
        "images without a mask (4): c.png, d.png, e.png and 1 more; "
        "masks without an image (1): z.png; "
        "masks with values that are not a class of 'tissue' (1): g.png (5, 9); "
        "masks with another size than their image (1): h.png; "
        "files that cannot be used (2): i.jpg (Pillow cannot read it as an image (...): give a sound PNG, "
        "JPEG or TIFF), j.jpg (JPEG alters the values of a mask: export it as PNG): "
        "repair or remove these, and start again"
    )


def test_what_is_wrong_with_several_splits_is_one_line(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save_pair(tmp_path / split / "images" / "a.png", tmp_path / split / "masks" / "a.png")
        save(tmp_path / split / "images" / f"{split}.png", np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(AnnotationError, match=r"images without a mask \(2\): train\.png, val\.png: repair"):
        read_splits(tmp_path, ("train", "val"), SCHEMA)


def test_painted_masks(tiles: Path) -> None:
    painted = np.array([[[255, 255, 255], [255, 150, 255], [90, 90, 90], [0, 0, 0]]], np.uint8)
    save_pair(tiles / "images" / "a.png", tiles / "masks" / "a.png", np.zeros((1, 4), np.uint8))
    save(tiles / "masks" / "a.png", painted)
    # All of class 0, white: that this is no value but a colour shows in the other mask only.
    save(tiles / "masks" / "b.png", np.full((3, 4, 3), 255, np.uint8))
    first, second = read_dataset(tiles, "train", SCHEMA).sources
    assert first.read(Rect(0, 0, 1, 4)).classes.tolist() == [[0, 1, 2, IGNORE]]
    assert (second.read(WHOLE).classes == 0).all()
    save(tiles / "masks" / "b.png", np.full((3, 4, 3), 91, np.uint8))
    assert "masks with colours that are not a class of 'tissue' (1): b.png (rgb(91,91,91))" in refused(tiles)


def test_turned_photographs_are_compared_upright(tiles: Path) -> None:
    image = Image.fromarray(np.zeros((4, 3, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tiles / "images" / "c.jpg", exif=exif)
    save(tiles / "masks" / "c.png", VALUES)
    source = read_dataset(tiles, "train", SCHEMA).sources[2]
    assert source.size == (4, 3)
    assert source.read(WHOLE).rgb.shape == (3, 4, 3)


def test_folders_that_are_no_data_sets(tmp_path: Path, tiles: Path) -> None:
    assert "no such folder" in refused(tmp_path / "absent", error=MissingError)
    (tmp_path / "empty").mkdir()
    assert "any known data set (it holds nothing)" in refused(tmp_path / "empty", error=UsageError)
    (tmp_path / "half" / "JPEGImages").mkdir(parents=True)
    assert "(it holds JPEGImages): give" in refused(tmp_path / "half", error=UsageError)
    assert "not laid out as voc" in refused(tiles, kind="voc", error=UsageError)
    no_split = refused(tiles, "val", error=UsageError)
    assert no_split.endswith("has no split 'val' (it has train): give --split train")
    for path in (*tiles.glob("*/*.png"),):
        path.unlink()
    assert "its split 'train' holds no images" in refused(tiles, error=AnnotationError)
    with pytest.raises(UsageError, match="not laid out"):
        dataset_splits(tmp_path / "empty")


def test_classes_of_a_data_set_must_be_in_the_schema(shared_data: Path) -> None:
    message = refused(shared_data / "voc", schema=load_schema("camvid"), error=AnnotationError)
    assert "classes that the schema 'camvid' lacks, background, aeroplane, bicycle" in message


def test_faults_are_counted() -> None:
    faults = Faults()
    assert not faults
    for name in "abcde":
        faults.add("apples", name)
    faults.add("pears", "f")
    assert faults
    assert str(faults) == "apples (5): a, b, c and 2 more; pears (1): f"

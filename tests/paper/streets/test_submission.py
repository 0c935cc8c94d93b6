from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official  # noqa: N813
from cityscapesscripts.helpers.labels import trainId2label
from PIL import Image

from wsi_seg.data.dataset import read_dataset
from wsi_seg.data.masked_images import LabelledImage
from wsi_seg.data.masks import code_of_ids
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.evaluation.benchmarks import open_submission
from wsi_seg.models.classes import ClassSchema, load_schema
from wsi_seg.slides.lattice import Rect

STREETS = load_schema("cityscapes-void")
OBJECTS = load_schema("voc")


def source(name: str, schema: ClassSchema = STREETS) -> LabelledImage:
    return LabelledImage(name, (4, 5), Path(f"{name}.png"), None, code_of_ids(schema))


def test_cityscapes_ids_are_the_official_ones(tmp_path: Path) -> None:
    classes = np.arange(20, dtype=np.uint8).reshape(4, 5)
    submission = open_submission("cityscapes", tmp_path / "new", STREETS)
    written = submission.add(source("ulm_000001_000019_leftImg8bit"), classes)
    assert submission.close() == tmp_path / "new"
    with Image.open(written) as image:
        ids = np.asarray(image)
    assert ids.shape == (4, 5)
    assert ids.ravel().tolist() == [*(trainId2label[i].id for i in range(19)), 0]


def test_the_official_evaluation_finds_and_takes_it(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = read_dataset(shared_data / "cityscapes", "train")
    submission = open_submission(dataset.kind, tmp_path, dataset.schema)
    monkeypatch.setattr(official.args, "predictionPath", str(tmp_path))
    monkeypatch.setattr(official.args, "predictionWalk", None)
    written = [submission.add(image, image.read(Rect(0, 0, 1024, 2048)).classes) for image in dataset.sources]
    for image, path in zip(dataset.sources, written, strict=True):
        truth = str(image.mask).replace("instanceIds", "labelIds")
        assert official.getPrediction(official.args, truth) == str(path)
        # A submission of the truth holds the truth wherever that is scored, and nothing else.
        assert image.mask is not None
        with Image.open(image.mask) as mask, Image.open(path) as file:
            instance_ids, ids = np.asarray(mask), np.asarray(file)
        labels = np.where(instance_ids >= 1000, instance_ids // 1000, instance_ids)
        scored = np.isin(labels, [trainId2label[i].id for i in range(19)])
        assert (ids == np.where(scored, labels, 0)).all()


def test_voc_palette_pictures_in_their_folders_and_tar(shared_data: Path, tmp_path: Path) -> None:
    classes = np.arange(21, dtype=np.uint8).reshape(3, 7)
    submission = open_submission("voc", tmp_path, OBJECTS)
    names = ["2008_000009", "2008_000001"]
    for name in names:
        written = submission.add(source(name, OBJECTS), classes)
        assert written == tmp_path / f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png"
    stale = tmp_path / "results/VOC2012/Segmentation/comp6_test_cls/1999_000001.png"
    stale.write_bytes(b"of an older run")
    archive = submission.close()
    with tarfile.open(archive) as tar:
        assert tar.getnames() == [
            f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png" for name in sorted(names)
        ]
        packed = tar.extractfile(tar.getnames()[0])
        assert packed is not None
        with Image.open(packed) as image:
            assert image.mode == "P"
            assert np.array_equal(np.asarray(image), classes)
            palette = image.getpalette()
    official_mask = shared_data / "voc/VOC2012/SegmentationClass/2007_006171.png"
    with Image.open(official_mask) as image:
        assert palette == image.getpalette()


def test_the_same_pictures_make_the_same_archive(tmp_path: Path) -> None:
    archives = []
    for run in ("a", "b"):
        submission = open_submission("voc", tmp_path / run, OBJECTS)
        submission.add(source("2008_000001", OBJECTS), np.zeros((5, 4), np.uint8))
        archives.append(submission.close().read_bytes())
    assert archives[0] == archives[1]


def test_classes_are_told_by_name(tmp_path: Path) -> None:
    submission = open_submission("cityscapes", tmp_path, load_schema("camvid"))
    classes = np.array([[0, 4, 9, 7, 2]], np.uint8)  # sky, pavement, pedestrian, fence, pole
    with Image.open(submission.add(source("ulm_1_2_leftImg8bit"), classes)) as image:
        assert np.asarray(image).tolist() == [[23, 8, 24, 13, 17]]


def test_what_cannot_be_submitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no server takes submissions for camvid"):
        open_submission("camvid", tmp_path, STREETS)
    with pytest.raises(UsageError, match="'breast-biopsy' has no class"):
        open_submission("cityscapes", tmp_path, load_schema("breast-biopsy"))
    (tmp_path / "file").write_bytes(b"")
    submission = open_submission("cityscapes", tmp_path / "file", STREETS)
    with pytest.raises(OutputError, match="cannot be written"):
        submission.add(source("ulm_1_2"), np.zeros((5, 4), np.uint8))

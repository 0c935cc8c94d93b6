"""Models on data sets of images: VOC against an independent count, Cityscapes against the authors."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import save
from PIL import Image

from wsi_seg.data.dataset import read_dataset
from wsi_seg.errors import UsageError
from wsi_seg.evaluation.benchmarks import open_submission
from wsi_seg.evaluation.on_images import evaluate_images
from wsi_seg.evaluation.tables import as_text
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import ModelBundle, load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.upstream import import_checkpoint

CPU = torch.device("cpu")


def untrained(folder: Path, schema: ClassSchema, size: tuple[int, int] | None = None) -> ModelBundle:
    torch.manual_seed(1)
    config = ESPNetConfig(classes=len(schema), p=1, q=1, variant="C")
    header = ModelHeader(
        name="untrained",
        architecture=architecture_of(config),
        classes=schema,
        input=InputSpec(channels="rgb", mean=(110, 110, 110), std=(60, 60, 60), size=size),
    )
    save_bundle(folder / "model.safetensors", ESPNet(config), header)
    return load_bundle(folder / "model.safetensors")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Two pictures of other sizes, neither a multiple of 8, in CamVid's layout."""
    rng = np.random.default_rng(0)
    for name, (height, width) in (("a", (37, 50)), ("b", (24, 61))):
        save(tmp_path / "val" / f"{name}.png", rng.integers(0, 256, (height, width, 3), np.uint8))
        save(tmp_path / "valannot" / f"{name}.png", rng.integers(0, 12, (height, width), np.uint8))
    return tmp_path


@pytest.mark.parametrize("size", [None, (64, 48)])
def test_every_known_pixel_is_counted_once(camvid: Path, size: tuple[int, int] | None) -> None:
    schema = load_schema("camvid")
    bundle = untrained(camvid, schema, size)
    evaluation = evaluate_images(read_dataset(camvid, "val"), bundle, Segmenter(bundle, CPU))
    assert [tally.name for tally in evaluation.tallies] == ["a", "b"]
    masks = [np.array(Image.open(path)) for path in sorted((camvid / "valannot").iterdir())]
    known = np.concatenate([mask[mask < 11] for mask in masks])
    np.testing.assert_array_equal(evaluation.total.confusion.true_pixels, np.bincount(known, minlength=11))
    assert evaluation.total.confusion.none_found == 0
    assert evaluation.benchmark is None


def test_a_model_that_lacks_a_class_is_refused_before_anything_runs(camvid: Path) -> None:
    classes = load_schema("camvid").classes[:-2]
    bundle = untrained(camvid, ClassSchema(name="fewer", classes=classes))
    dataset = read_dataset(camvid, "val")
    for source in dataset.sources:
        source.image.unlink()
    with pytest.raises(UsageError, match=r"lack 'pedestrian', 'bicyclist' of 'camvid'"):
        evaluate_images(dataset, bundle, Segmenter(bundle, CPU))


def test_without_a_known_pixel_there_is_nothing_to_say(camvid: Path) -> None:
    for path in (camvid / "valannot").iterdir():
        Image.fromarray(np.full_like(np.array(Image.open(path)), 11)).save(path)
    bundle = untrained(camvid, load_schema("camvid"))
    with pytest.raises(UsageError, match="no pixel of known class"):
        evaluate_images(read_dataset(camvid, "val"), bundle, Segmenter(bundle, CPU))


def streets(folder: Path, split: str = "val") -> Path:
    """One small picture in Cityscapes' layout, with instances; of the test set, without."""
    rng = np.random.default_rng(0)
    name = "a_000000_000019"
    picture = rng.integers(0, 256, (24, 32, 3), np.uint8)
    save(folder / "leftImg8bit" / split / "a" / f"{name}_leftImg8bit.png", picture)
    if split != "test":
        ids = rng.choice([7, 11, 24, 24001, 26002], (24, 32)).astype(np.uint16)
        save(folder / "gtFine" / split / "a" / f"{name}_gtFine_instanceIds.png", ids)
    return folder


def test_streets_are_scored_as_cityscapes_does_unless_classes_are_merged(tmp_path: Path) -> None:
    plain = load_schema("cityscapes")
    *others, last = plain.classes
    merged = ClassSchema(
        name="merged", classes=(*others[:-1], last.model_copy(update={"aliases": ("motorcycle",)}))
    )
    renamed = ClassSchema(
        name="renamed",
        classes=(*others, last.model_copy(update={"name": "Fahrrad", "aliases": ("bicycle",)})),
    )
    streets(tmp_path)
    for schema, scored in ((plain, True), (renamed, True), (merged, False)):
        bundle = untrained(tmp_path, schema)
        evaluation = evaluate_images(read_dataset(tmp_path, "val", schema), bundle, Segmenter(bundle, CPU))
        assert (evaluation.benchmark is not None) == scored
        if evaluation.benchmark is not None:
            assert "bicycle" in dict(evaluation.benchmark.rows())


def test_where_the_truth_is_held_back_a_submission_is_all(tmp_path: Path) -> None:
    bundle = untrained(tmp_path, load_schema("cityscapes"))
    dataset = read_dataset(streets(tmp_path, "test"), "test")
    submission = open_submission(dataset.kind, tmp_path / "out", dataset.schema)
    evaluation = evaluate_images(dataset, bundle, Segmenter(bundle, CPU), submission=submission)
    assert as_text(evaluation).endswith("1 source, 0 pixels of known class")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_000000_000019_labelIds.png"]


@pytest.mark.slow
def test_voc_scores_are_those_of_counting_pixel_by_pixel(shared_data: Path, tmp_path: Path) -> None:
    """Counted by another program, in plain Python, from the files that would go to the server."""
    dataset = read_dataset(shared_data / "voc", "train")
    bundle = untrained(tmp_path, dataset.schema)
    submission = open_submission(dataset.kind, tmp_path, dataset.schema)
    evaluation = evaluate_images(dataset, bundle, Segmenter(bundle, CPU), submission=submission)
    hits, true, found = [0] * 21, [0] * 21, [0] * 21
    with tarfile.open(submission.close()) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            predicted = Image.open(file).tobytes()
            mask = Image.open(dataset.folder / "SegmentationClass" / Path(member.name).name).tobytes()
            assert len(predicted) == len(mask)
            for t, p in zip(mask, predicted, strict=True):
                if t != 255:
                    true[t] += 1
                    found[p] += 1
                    hits[t] += t == p
    confusion = evaluation.total.confusion
    assert sum(hits) > 0
    assert confusion.pixels == sum(true)
    present = [c for c in range(21) if true[c]]
    ious = {c: hits[c] / (true[c] + found[c] - hits[c]) for c in present}
    for c in present:
        assert confusion.iou[c] == pytest.approx(ious[c], abs=1e-6)
        assert confusion.dice[c] == pytest.approx(2 * hits[c] / (true[c] + found[c]), abs=1e-6)
        assert confusion.recall[c] == pytest.approx(hits[c] / true[c], abs=1e-6)
    assert confusion.mean_iou == pytest.approx(sum(ious.values()) / len(ious), abs=1e-6)
    assert confusion.pixel_accuracy == pytest.approx(sum(hits) / sum(true), abs=1e-6)


@pytest.mark.slow
def test_the_authors_network_scores_as_in_their_own_code(shared_data: Path, tmp_path: Path) -> None:
    checkpoint = shared_data / "espnet" / "decoder" / "espnet_p_2_q_8.pth"
    save_bundle(
        tmp_path / "q8.safetensors", *import_checkpoint(checkpoint, load_schema("cityscapes"), name="q8")
    )
    bundle = load_bundle(tmp_path / "q8.safetensors")
    dataset = read_dataset(shared_data / "cityscapes", "val")
    assert [source.name for source in dataset.sources] == ["frankfurt_000000_000576_leftImg8bit"]
    evaluation = evaluate_images(dataset, bundle, Segmenter(bundle, CPU))
    confusion = evaluation.total.confusion
    assert confusion.present.sum() == 11
    assert confusion.pixel_accuracy == pytest.approx(0.9603, abs=2e-4)
    assert confusion.mean_iou == pytest.approx(0.6607, abs=2e-4)
    # Void, which the network knows and the data set does not, is wrong wherever a class is known.
    assert confusion.none_found > 0
    assert evaluation.benchmark is not None
    assert "over the 11 classes in the truth" in as_text(evaluation)

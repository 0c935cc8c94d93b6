"""The demo model's training data, its training, and the file that is shipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from wsi_seg.demo.crops import GLASS, Shelf, restain
from wsi_seg.demo.fields import FIELD_MPP, draw_field
from wsi_seg.demo.train_demo import NAME, NOTICE, VALIDATION_SEED, Recipe, describe, train, validate
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.lookup import builtin_models


def test_a_field_is_the_same_every_time() -> None:
    rgb, labels = draw_field(11, 96)
    again_rgb, again_labels = draw_field(11, 96)
    assert rgb.shape == (96, 96, 3)
    assert labels.shape == (96, 96)
    assert np.array_equal(rgb, again_rgb)
    assert np.array_equal(labels, again_labels)
    assert not np.array_equal(rgb, draw_field(12, 96)[0])


def marked_shelf(side: int) -> Shelf:
    """Two fields whose red channel tells the class, so that pieces can be checked against their labels."""
    shelf = Shelf(capacity=2, side=side, classes=3, seed=4)
    rng = np.random.default_rng(0)
    for _ in range(2):
        labels = rng.integers(0, 3, (side, side), dtype=np.uint8)
        rgb = np.full((side, side, 3), 250, np.uint8)
        rgb[..., 0] = 40 + 60 * labels
        shelf.add(rgb, labels)
    return shelf


def test_mosaics_keep_pixels_and_labels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsi_seg.demo.crops.restain", lambda rgb, rng: rgb.astype(np.float32))
    shelf = marked_shelf(96)
    for _ in range(60):
        rgb, labels = shelf.mosaic(64)
        assert rgb.shape == (64, 64, 3)
        assert labels.shape == (64, 64)
        scanned = rgb[..., 0] == 40.0 + 60 * labels
        assert (scanned | (labels == GLASS)).all()


def test_mosaics_hold_rare_classes_often() -> None:
    shelf = Shelf(capacity=20, side=80, classes=3, seed=4)
    for index in range(20):
        labels = np.zeros((80, 80), np.uint8)
        labels[:40] = 1
        if index == 7:
            labels[30:50, 30:50] = 2
        shelf.add(np.full((80, 80, 3), 200, np.uint8), labels)
    rare = np.mean([(shelf.mosaic(32)[1] == 2).any() for _ in range(200)])
    assert rare > 0.2


def test_restaining_changes_colours_within_their_range() -> None:
    rgb, _ = draw_field(11, 64)
    changed = [restain(rgb, np.random.default_rng(seed)) for seed in range(20)]
    assert all(c.dtype == np.float32 and c.min() >= 0 and c.max() <= 255 for c in changed)
    shifts = [float(np.abs(c - rgb).mean()) for c in changed]
    assert max(shifts) > 10
    assert max(shifts) < 90


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_training_repeats() -> None:
    """To the bit, with fields that are drawn meanwhile."""
    recipe = Recipe(
        steps=8, batches=((2, 96), (1, 128)), field_side=160, first_fields=2, steps_per_field=3, warmup=2
    )
    network, again = (train(recipe, lambda _: None)[0].state_dict() for _ in range(2))
    for name, tensor in network.items():
        assert torch.equal(tensor, again[name]), name


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_training_learns() -> None:
    recipe = Recipe(
        steps=40, batches=((2, 96), (1, 128)), field_side=160, first_fields=4, steps_per_field=20, warmup=5
    )
    network, spec = train(recipe, lambda _: None)
    fields = [draw_field(recipe.seed * 10_000 + i, 160) for i in range(4)]
    score = validate(network, spec, fields)
    assert score.pixels == 4 * 160 * 160
    assert score.pixel_accuracy > 0.5
    header = describe(network, spec, recipe, score)
    assert header.notice == NOTICE
    assert header.input.mpp == FIELD_MPP


def test_the_shipped_model_knows_generated_tissue() -> None:
    bundle = load_bundle(builtin_models()[NAME])
    # The file is older than the codes of the schema that it was trained by.
    without_codes = {"classes": {"__all__": {"code", "category"}}}
    assert bundle.schema.model_dump() == load_schema("breast-biopsy").model_dump(exclude=without_codes)
    assert bundle.notice == NOTICE
    assert bundle.input.mpp == FIELD_MPP
    assert bundle.path.stat().st_size < 1_000_000
    assert isinstance(bundle.network, ESPNet)
    fields = [draw_field(VALIDATION_SEED + 500 + i, 256) for i in range(6)]
    score = validate(bundle.network, bundle.input, fields)
    assert score.pixel_accuracy > 0.85

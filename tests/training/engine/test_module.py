"""What a validation counts, and how often there is one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.trainings import tiny_recipe, write_outlined

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.engine.module import pairs_of
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train


@pytest.mark.parametrize("classes", [2, 5, 21])
def test_pixels_are_counted_as_a_confusion_matrix_counts_them(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, (3, 40, 50)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = IGNORE
    found = rng.integers(0, classes, truth.shape).astype(np.uint8)
    pairs = pairs_of(torch.from_numpy(truth), torch.from_numpy(found)).numpy()
    counted = Confusion.of_pairs(pairs, classes)
    np.testing.assert_array_equal(counted.counts, Confusion.of(truth, found, classes).counts)


def test_counting_leaves_diagnoses_as_they_are() -> None:
    truth, found = torch.tensor([1, IGNORE, 0]), torch.tensor([1, 1, 1])
    assert Confusion.of_pairs(pairs_of(truth, found).numpy(), 2).counts.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert truth.tolist() == [1, IGNORE, 0]


def test_a_class_that_the_network_lacks_is_not_left_out_in_silence() -> None:
    pairs = pairs_of(torch.tensor([7]), torch.tensor([1]))
    with pytest.raises(ValueError, match="not one of the 3"):
        Confusion.of_pairs(pairs.numpy(), 3)


@pytest.mark.parametrize(
    ("asked", "steps"), [((), [20, 40, 60, 80]), (("training.validations=2",), [40, 80])]
)
def test_a_stage_has_as_many_validations_as_asked_for(
    tmp_path: Path, asked: tuple[str, ...], steps: list[int]
) -> None:
    request = DataRequest(write_outlined(tmp_path), working_mpp=2)
    recipe = tiny_recipe("training.epochs=4", *asked)
    train(TrainRequest(request, recipe, tmp_path / "out"))
    (history,) = (tmp_path / "out").rglob("history.csv")
    with history.open() as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["val_miou"]]
    assert validated == steps

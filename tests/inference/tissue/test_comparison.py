"""Patches beside what a model remembers: how far they lie, and in what they differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wsi_seg.inference.tissue.comparison import UNKNOWN, compare
from wsi_seg.inference.tissue.patch_looks import Looks
from wsi_seg.results.familiarity import Verdict

RNG = np.random.default_rng(0)
TRAINED = Looks(
    rgb_mean=RNG.uniform(150, 200, (50, 3)),
    rgb_square=np.full((50, 3), 4e4),
    density=RNG.normal((0.4, 0.7, 0.4), 0.05, (50, 3)),
    sharpness=RNG.normal(0.2, 0.1, (50, 1)),
    confidence=RNG.normal(0.9, 0.03, (50, 1)),
    features=RNG.normal(0, 1, (50, 20)),
    stain=None,
)
TISSUE = TRAINED.remembered(2.0)


def test_the_training_tissue_itself_is_familiar() -> None:
    found = compare(TRAINED, TISSUE, 2.0, 0.5)
    assert found is not None
    assert (found.verdict, found.differs, found.patches) == (Verdict.FAMILIAR, (), 50)
    assert found.distance == pytest.approx(0, abs=0.01)


def test_features_and_a_lack_of_confidence_add_up() -> None:
    found = compare(replace(TRAINED, features=TRAINED.features + 0.5), TISSUE, 2.0, 0.5)
    assert found is not None
    assert found.distance == pytest.approx(0.5, abs=0.05)
    assert found.verdict is Verdict.FAMILIAR
    unsure = replace(TRAINED, features=TRAINED.features + 0.5, confidence=TRAINED.confidence - 0.06)
    found = compare(unsure, TISSUE, 2.0, 0.5)
    assert found is not None
    assert found.distance == pytest.approx(2.5, abs=0.3)
    assert found.verdict is Verdict.UNFAMILIAR
    assert found.differs == ("tissue",)
    assert found.line == (
        "unfamiliar: its tissue is unlike what the model was trained on: check the result by eye"
    )
    surer = compare(replace(TRAINED, confidence=TRAINED.confidence + 0.06), TISSUE, 2.0, 0.5)
    assert surer is not None
    assert surer.distance == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("change", "mpp", "finest", "said"),
    [
        ({"density": TRAINED.density * 2}, 2.0, 0.5, "stain (2.0 times as dense)"),
        ({"density": TRAINED.density + np.array([0.6, 0, 0])}, 2.0, 0.5, "stain (less red)"),
        ({"sharpness": TRAINED.sharpness - 1}, 2.0, 0.5, "sharpness (blurred)"),
        ({"sharpness": TRAINED.sharpness + 1}, 2.0, 0.5, "sharpness (sharper, or noisy)"),
        ({}, 4.0, 0.5, "resolution (4 um per px, trained at 2)"),
        ({}, 2.0, 4.0, "resolution (the slide has 4 um per px, read at 2)"),
    ],
)
def test_what_differs_is_said(change: dict[str, np.ndarray], mpp: float, finest: float, said: str) -> None:
    found = compare(replace(TRAINED, **change), TISSUE, mpp, finest)  # type: ignore[arg-type]
    assert found is not None
    assert found.differs == (said,)
    assert said in found.line


def test_without_memory_or_tissue_there_is_no_verdict() -> None:
    assert compare(TRAINED, None, 2.0, 0.5) is UNKNOWN
    assert compare(None, TISSUE, 2.0, 0.5) is None

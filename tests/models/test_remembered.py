"""What a model remembers of its tissue: read again, and refused where it cannot be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from wsi_seg.errors import ModelError
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.lookup import builtin_models
from wsi_seg.models.remembered import RememberedStain, RememberedTissue, Spread

TISSUE = RememberedTissue(
    patches=2,
    mpp=2.0,
    rgb_mean=(200, 150, 180),
    rgb_std=(30, 40, 30),
    density=Spread.of(np.array([[0.3, 0.6, 0.3], [0.5, 0.8, 0.5]])),
    sharpness=Spread.of(np.array([[0.1], [0.2]])),
    confidence=Spread.of(np.array([[0.9], [0.8]])),
    features=Spread.of(np.array([[0.0, 1.23456789], [0.0, 1.23456789]])),
)


def test_a_quantity_is_stored_with_five_digits_and_some_spread() -> None:
    assert TISSUE.features.mean == (0.0, 1.2346)
    assert min(TISSUE.features.std) > 0
    assert TISSUE.density.std == pytest.approx((0.1, 0.1, 0.1))


def test_a_model_file_keeps_it(model_path: Path, tmp_path: Path) -> None:
    bundle, path = load_bundle(model_path), tmp_path / "model.safetensors"
    assert bundle.tissue is None
    save_bundle(path, bundle.network, bundle.header.model_copy(update={"tissue": TISSUE}))
    assert load_bundle(path).tissue == TISSUE


EQUAL = ((0.3, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.1))


@pytest.mark.parametrize(
    ("directions", "covariance", "words"),
    [
        (((0.6, 0.8, 0.0), (0.6, 0.8, 0.0)), EQUAL, "both dyes have the same direction"),
        (((0.6, 0.8, 0.0), (0.0, 0.5, 0.0)), EQUAL, "a dye's direction is not of length 1"),
        (((0.6, 0.8, 0.0), (0.0, 0.0, 1.0)), ((0.3, 0.1, 0.0), *EQUAL[1:]), "covariance is not symmetric"),
        (((0.6, 0.8, 0.0), (0.0, 0.0, 1.0)), ((-0.3, 0.0, 0.0), *EQUAL[1:]), "has a negative variance"),
    ],
)
def test_a_stain_that_cannot_be_is_refused(
    directions: tuple[tuple[float, float, float], tuple[float, float, float]],
    covariance: tuple[tuple[float, ...], ...],
    words: str,
) -> None:
    stored = {
        "white": (0.0, 0.0, 0.0),
        "mean": (0.5, 0.7, 0.4),
        "covariance": covariance,
        "dyes": {"directions": directions, "amounts": (1.0, 1.0)},
    }
    with pytest.raises(ValidationError, match=words):
        RememberedStain.model_validate(stored)


def test_a_newer_form_is_refused(model_path: Path, tmp_path: Path) -> None:
    bundle, path = load_bundle(model_path), tmp_path / "model.safetensors"
    newer = TISSUE.model_copy(update={"format_version": 2})
    save_bundle(path, bundle.network, bundle.header.model_copy(update={"tissue": newer}))
    with pytest.raises(ModelError, match=r"newer wsi-seg \(format 2.*upgrade wsi-seg"):
        load_bundle(path)


def test_a_file_beside_must_be_of_the_model_and_sound(model_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(model_path, tmp_path / "model.safetensors"))
    beside, fingerprint = tmp_path / "model.tissue.json", load_bundle(path).fingerprint
    own = TISSUE.model_copy(update={"model": fingerprint})
    beside.write_text(own.model_dump_json())
    assert load_bundle(path).tissue == own
    beside.write_text(TISSUE.model_dump_json())
    with pytest.raises(ModelError, match=r"model\.tissue\.json: not the training tissue of model"):
        load_bundle(path)
    beside.write_text("{}")
    with pytest.raises(ModelError, match=r"model\.tissue\.json: damaged .*: delete it"):
        load_bundle(path)


def test_the_built_in_model_remembers() -> None:
    bundle = load_bundle(builtin_models()["breast-demo"])
    assert bundle.header.tissue is None
    assert bundle.tissue is not None
    assert len(bundle.tissue.features.mean) == 256

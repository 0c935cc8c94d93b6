"""A model that came as an ONNX file, wherever a model is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA, tissue_rgb
from helpers.onnx_files import write_onnx
from helpers.trainings import write_outlined

import wsi_seg as ws
from wsi_seg.errors import UsageError
from wsi_seg.models.bundle import save_bundle
from wsi_seg.models.onnx.importing import import_onnx
from wsi_seg.models.upstream import InputOverrides


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ws.Model:
    """Each pixel's class is its brightest channel."""
    folder = tmp_path_factory.mktemp("onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsi_seg.models.onnx.importing.SIDE", 64)
        found = import_onnx(
            write_onnx(folder / "net.onnx", kernel=1),
            SCHEMA,
            InputOverrides(mean=(0, 0, 0), std=(255, 255, 255), mpp=2.0),
        )
    save_bundle(folder / "net.safetensors", *found)
    return ws.load_model(folder / "net.safetensors")


def test_an_array_of_any_size_is_segmented(model: ws.Model) -> None:
    rgb = tissue_rgb(70, 90)
    np.testing.assert_array_equal(model.segment(rgb, device="cpu"), rgb.argmax(axis=2))


def test_scores_are_those_of_the_pixels(model: ws.Model, tmp_path: Path) -> None:
    pair = write_outlined(tmp_path)
    result = ws.segment(pair[0], model, out=tmp_path / "out", device="cpu", workers=1)
    scores = ws.evaluate(model, [pair], device="cpu")
    assert scores.pixels == 48 * 56 * 120
    np.testing.assert_array_equal(scores.confusion, ws.evaluate(result, pair[1]).confusion)


def test_it_is_no_start_of_a_training(model: ws.Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.safetensors: an ONNX network cannot be trained further"):
        ws.train([write_outlined(tmp_path)], out=tmp_path / "out", init=model, device="cpu")
    assert not (tmp_path / "out").exists()

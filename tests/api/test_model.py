from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA, tissue_rgb, write_tiff
from helpers.results import labels_of

import wsi_seg as ws
from wsi_seg.errors import ModelError, UsageError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings


def test_a_model_says_what_it_is(model_path: Path) -> None:
    model = ws.load_model(model_path)
    assert (model.name, model.mpp, model.path) == ("test", 2.0, model_path)
    assert [(c.id, c.name) for c in model.classes] == [(0, "Glass"), (1, "Stroma"), (2, "Tumour")]
    assert model.fingerprint == ws.load_model(str(model_path)).fingerprint
    assert repr(model) == "<wsi_seg.Model 'test', 3 classes, at 2 um per px>"


def test_a_name_is_as_good_as_a_file() -> None:
    model = ws.load_model("breast-demo")
    assert model.path.name == "breast-demo.safetensors"
    assert model.notice is not None
    with pytest.raises(ModelError, match=r"no such model: give the path of a \.safetensors file"):
        ws.load_model("liver-demo")


@pytest.mark.parametrize("size", [(500, 700), (37, 21), (1, 1), (1, 90)])
def test_an_array_of_any_size_is_segmented(model_path: Path, size: tuple[int, int]) -> None:
    ids = ws.load_model(model_path).segment(tissue_rgb(*size), device="cpu")
    assert (ids.shape, ids.dtype) == (size, np.dtype(np.uint8))
    assert set(np.unique(ids)) <= set(SCHEMA.ids)


@pytest.mark.parametrize(("height", "width"), [(500, 700), (120, 1200)])
def test_an_array_gets_the_labels_that_a_slide_of_it_gets(
    model_path: Path, tmp_path: Path, height: int, width: int
) -> None:
    rgb = tissue_rgb(height, width)
    slide = write_tiff(tmp_path / "slide.tiff", rgb)
    labels = LabelSettings(tissue_mask=False)
    settings = PredictSettings(model=str(model_path), labels=labels, run=RunSettings(device="cpu"))
    predict_slide(slide, tmp_path / "out", settings)
    ids = ws.load_model(model_path).segment(rgb, device="cpu")
    np.testing.assert_array_equal(ids, labels_of(tmp_path / "out"))
    assert len(np.unique(ids)) > 1


def test_what_is_read_from_a_slide_is_segmented_at_the_models_resolution_only(
    model_path: Path, slide_path: Path
) -> None:
    model = ws.load_model(model_path)
    with ws.open_slide(slide_path) as slide:
        fine = slide.read(x=0, y=0, width=128, height=96, mpp=2.0)
        coarse = slide.read(x=0, y=0, width=64, height=48, mpp=4.0)
    np.testing.assert_array_equal(model.segment(fine), model.segment(np.asarray(fine), mpp=2.0))
    with pytest.raises(UsageError, match=r"an image at 4 um per px: test works at 2: read it with .*mpp=2\)"):
        model.segment(coarse)
    with pytest.raises(UsageError, match=r"an image at 0\.5 um per px"):
        model.segment(np.asarray(fine), mpp=0.5)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), [[1]], None]
)
def test_what_is_no_rgb_image_is_refused(model_path: Path, image: object) -> None:
    with pytest.raises(UsageError, match=r"is not an image: give uint8 RGB of shape \(height, width, 3\)"):
        ws.load_model(model_path).segment(image)  # type: ignore[arg-type]

"""Labels do not depend on how a TIFF holds its samples; a slide without colour is not labelled unasked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn_tiffs import GREY, PLANES, RGB, write
from helpers.results import labels_of

from wsi_seg.errors import SlideError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

SMALL = LabelSettings(patch=192, overlap=64, region_cores=1)
TWELVE = {"axes": "YXS", "SignificantBits": 12}


def labelled(slide: Path, model: Path, out: Path, **changes: bool) -> np.ndarray:
    labels = SMALL.model_copy(update=changes)
    predict_slide(slide, out, PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2)))
    return labels_of(out)


@pytest.fixture(scope="module")
def expected(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("interleaved")
    labels = labelled(write(folder / "slide.tiff", RGB, photometric="rgb"), model_path, folder / "out")
    assert len(np.unique(labels)) > 1
    return labels


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (PLANES, {"ome": True, "metadata": {"axes": "CYX"}}),
        (PLANES, {"planarconfig": "separate", "photometric": "rgb"}),
        (PLANES, {"planarconfig": "separate"}),
        (RGB.astype(np.uint16) << 4, {"ome": True, "photometric": "rgb", "metadata": TWELVE}),
        (RGB.astype(np.uint16) * 257, {"photometric": "rgb"}),
        (np.dstack([RGB, GREY]), {"photometric": "rgb", "extrasamples": ["UNSPECIFIED"]}),
    ],
    ids=["pages", "planes", "grey planes", "12 bits", "16 bits", "a fourth sample"],
)
def test_labels_are_those_of_interleaved_rgb(
    pixels: np.ndarray, options: dict[str, Any], expected: np.ndarray, model_path: Path, tmp_path: Path
) -> None:
    slide = write(tmp_path / "slide.tiff", pixels, **options)
    np.testing.assert_array_equal(labelled(slide, model_path, tmp_path / "out"), expected)


@pytest.mark.parametrize(
    "pixels",
    [GREY, np.repeat(GREY[..., None], 3, axis=2), GREY.astype(np.uint16) * 257],
    ids=["one sample", "RGB", "16 bits"],
)
def test_a_grey_slide_is_labelled_if_asked_for(pixels: np.ndarray, model_path: Path, tmp_path: Path) -> None:
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    slide = write(tmp_path / "slide.tiff", pixels, photometric=photometric)
    for tissue_mask in (True, False):
        with pytest.raises(SlideError, match=r"slide\.tiff: is grey throughout: .*--allow-grey"):
            labelled(slide, model_path, tmp_path / "out", tissue_mask=tissue_mask)
    labels = labelled(slide, model_path, tmp_path / "out", allow_grey=True)
    assert labels.shape == GREY.shape
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["settings"]["labels"]["allow_grey"] is True


def test_a_slide_that_shows_nothing_is_refused(model_path: Path, tmp_path: Path) -> None:
    clear = np.dstack([RGB, np.zeros_like(GREY)])
    slide = write(tmp_path / "clear.tiff", clear, photometric="rgb", extrasamples=["UNASSALPHA"])
    for allow_grey in (False, True):
        with pytest.raises(
            SlideError,
            match=r"clear\.tiff: is transparent throughout, or all of its tiles are missing: copy it",
        ):
            labelled(slide, model_path, tmp_path / "out", allow_grey=allow_grey)
    assert not (tmp_path / "out").exists()
    slide = write(tmp_path / "black.tiff", np.zeros_like(RGB), photometric="rgb")
    with pytest.raises(SlideError, match=r"black\.tiff: is black throughout: .*--allow-grey"):
        labelled(slide, model_path, tmp_path / "out")


def test_a_grey_slide_clears_nothing_away(expected: np.ndarray, model_path: Path, tmp_path: Path) -> None:
    colour = write(tmp_path / "colour.tiff", RGB, photometric="rgb")
    labelled(colour, model_path, tmp_path / "out")
    anew = PredictSettings(model=str(model_path), labels=SMALL, run=RunSettings(overwrite=True))
    with pytest.raises(SlideError, match="grey throughout"):
        predict_slide(write(tmp_path / "grey.tiff", GREY), tmp_path / "out", anew)
    np.testing.assert_array_equal(labels_of(tmp_path / "out"), expected)


def test_leave_to_go_on_changes_no_labels(expected: np.ndarray, model_path: Path, tmp_path: Path) -> None:
    slide = write(tmp_path / "slide.tiff", RGB, photometric="rgb")
    np.testing.assert_array_equal(labelled(slide, model_path, tmp_path / "out", allow_grey=True), expected)
    np.testing.assert_array_equal(labelled(slide, model_path, tmp_path / "out"), expected)  # one result


def test_a_slide_in_one_dye_is_refused(shared_data: Path, model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"test3-DAPI\.ndpi: is only in its blue channel: .*--allow-grey"):
        labelled(shared_data / "slides" / "test3-DAPI.ndpi", model_path, tmp_path / "out")

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from conftest import tissue_rgb, write_tiff

from wsi_seg.data.pairs import SlidePair
from wsi_seg.data.truth import TruthSettings
from wsi_seg.data.working_mpp import Outlined, recommend_mpp
from wsi_seg.errors import MppError
from wsi_seg.files.shipped import shipped_folder
from wsi_seg.pipelines import load_pipeline
from wsi_seg.training.engine.hardware import megapixels
from wsi_seg.training.recipe import override


@pytest.fixture
def outlined(tmp_path: Path) -> Callable[..., SlidePair]:
    """Write a slide and squares of these sides, in um, by class."""

    def write(mpp: float, **sides_um: list[float]) -> SlidePair:
        name = f"slide{len(list(tmp_path.iterdir()))}"
        features = [
            {
                "type": "Feature",
                "geometry": shapely.geometry.mapping(shapely.box(0, 0, side / mpp, side / mpp)),
                "properties": {"classification": kind.replace("_", "*")},
            }
            for kind, sides in sides_um.items()
            for side in sides
        ]
        annotations = tmp_path / f"{name}.json"
        annotations.write_text(json.dumps(features))
        return SlidePair(write_tiff(tmp_path / f"{name}.tiff", tissue_rgb(64, 64), mpp=mpp), annotations)

    return write


@pytest.mark.parametrize(
    ("slide_mpp", "sides", "expected"),
    [
        (0.467, [300, 900, 2000], 1.868),
        (0.25, [8], 0.5),
        (0.23, [8], 0.46),
        (0.467, [8], 0.467),
        (0.25, [100], 1.0),
        (0.5, [5000], 2.0),
        (1.0, [8], 1.0),
        (3.0, [8], 3.0),
    ],
)
def test_structures_span_a_useful_number_of_pixels(
    outlined: Callable[..., SlidePair], slide_mpp: float, sides: list[float], expected: float
) -> None:
    assert recommend_mpp([outlined(slide_mpp, Tumour=sides)]) == pytest.approx(expected, rel=1e-4)


def test_the_class_of_the_smallest_structures_decides(outlined: Callable[..., SlidePair]) -> None:
    pair = outlined(0.25, Tumour=[2000], Gland=[60, 50])

    assert recommend_mpp([pair]) == pytest.approx(0.5, rel=1e-4)


def test_a_sliver_decides_nothing(outlined: Callable[..., SlidePair]) -> None:
    assert recommend_mpp([outlined(0.5, Tumour=[2000, 5, 5, 5])]) == pytest.approx(2.0, rel=1e-4)


def test_what_is_no_structure_decides_nothing(outlined: Callable[..., SlidePair]) -> None:
    pair = outlined(0.5, Tumour=[2000], Ignore_=[5], ROI=[5], none=[5])

    assert recommend_mpp([pair], settings=TruthSettings(roi_class="roi")) == pytest.approx(2.0, rel=1e-4)


def test_no_slide_is_enlarged(outlined: Callable[..., SlidePair]) -> None:
    fine, coarse = outlined(0.25, Nucleus=[8]), outlined(0.8, Nucleus=[8])

    assert recommend_mpp([fine, coarse]) == pytest.approx(0.8, rel=1e-4)


@pytest.mark.parametrize(
    ("slide_mpp", "side", "megapixels", "expected"),
    [
        (0.5, 80, 160, 2.0),  # two minutes on a CPU
        (0.5, 80, 800, 1.0),  # ten
        (0.5, 80, 3200, 0.5),  # forty; four on a GPU
        (0.467, 80, 160, 1.868),
        (0.5, 80, 8, 2.0),
        (0.25, 8, 160, 0.5),  # a nucleus would be no more than a dot
        (0.25, 40, 160, 1.0),
        (0.467, 2000, 1e5, 1.868),
        (3.0, 8, 160, 3.0),
    ],
)
def test_little_time_wants_coarser_pixels(
    outlined: Callable[..., SlidePair], slide_mpp: float, side: float, megapixels: float, expected: float
) -> None:
    pair = outlined(slide_mpp, Gland=[side])

    assert recommend_mpp([pair], megapixels=megapixels) == pytest.approx(expected, rel=1e-4)


def test_what_time_has_to_do_with_it_is_said(outlined: Callable[..., SlidePair]) -> None:
    glands = Outlined.on([outlined(0.5, Gland=[80])])

    assert glands.why(160) == (
        "2 um per pixel, as the time is short: with more --minutes it would be 0.5; "
        "use --working-mpp to choose another"
    )
    assert (
        glands.why()
        == "0.5 um per pixel, chosen for the outlined structures; use --working-mpp to choose another"
    )
    lesions = Outlined.on([outlined(0.467, Tumour=[900])])
    assert lesions.why(8) == lesions.why()


def test_two_minutes_of_the_example_are_at_two_um(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "demo.tiff", tissue_rgb(64, 64), mpp=0.5)
    pair = SlidePair(slide, shipped_folder("annotations") / "demo.geojson")
    quick, cpu = load_pipeline("quick").train, torch.device("cpu")
    assert quick is not None

    def recommended(*settings: str, device: torch.device = cpu) -> float:
        return recommend_mpp([pair], megapixels=megapixels(override(quick, [*settings]), device))

    assert recommended("training.minutes=2") == pytest.approx(2, rel=1e-4)
    assert recommended() == pytest.approx(1, rel=1e-4)
    assert recommended("training.minutes=60") == pytest.approx(0.5, rel=1e-4)
    assert recommended(device=torch.device("cuda")) == pytest.approx(0.5, rel=1e-4)
    assert recommended("training.epochs=3") == pytest.approx(0.5, rel=1e-4)


def test_an_unknown_resolution_is_asked_for(outlined: Callable[..., SlidePair], tmp_path: Path) -> None:
    annotations = outlined(1.0, Tumour=[500]).annotations
    slide = write_tiff(tmp_path / "no_mpp.tiff", np.zeros((64, 64, 3), np.uint8), mpp=None)

    with pytest.raises(MppError, match="--mpp"):
        recommend_mpp([(slide, annotations)])
    assert recommend_mpp([(slide, annotations)], mpp=0.5) == 2.0
    assert recommend_mpp([SlidePair(slide, annotations, 0.25)], mpp=0.5) == 1.0


def test_real_lesions_are_seen_at_a_quarter(shared_data: Path) -> None:
    slides = shared_data / "slides"

    assert recommend_mpp([(slides / "breast_A03.tiff", slides / "breast_A03.geojson")]) == pytest.approx(
        4 * 0.467, rel=1e-3
    )

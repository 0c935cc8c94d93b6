"""Scores against a truth, checked by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsi_seg.demo import score_labels as score_module
from wsi_seg.demo.score_labels import TruthImage, score_labels
from wsi_seg.errors import SlideError, UsageError
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Rect

CLASSES = 5


def write_truth(path: Path, truth: np.ndarray) -> Path:
    tifffile.imwrite(path, truth, tile=(64, 64), compression="zlib", photometric="minisblack", metadata=None)
    return path


def frames_of(truth: np.ndarray, downsample: float, bounds: Bounds | None = None) -> Frames:
    bounds = bounds or Bounds(x=0, y=0, width=truth.shape[1], height=truth.shape[0])
    return Frames.at_mpp(bounds, (0.5, 0.5), 0.5 * downsample)


def brute_force(labels: np.ndarray, frames: Frames, truth: np.ndarray) -> tuple[np.ndarray, int]:
    confusion, unprocessed = np.zeros((CLASSES, CLASSES), np.int64), 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            slide_x, slide_y = frames.label_to_slide((x + 0.5, y + 0.5))
            true = truth[min(int(slide_y), truth.shape[0] - 1), min(int(slide_x), truth.shape[1] - 1)]
            if labels[y, x] == UNPROCESSED_ID:
                unprocessed += 1
            else:
                confusion[true, labels[y, x]] += 1
    return confusion, unprocessed


@pytest.mark.parametrize("downsample", [1, 2.5, 4, 4.283])
@pytest.mark.parametrize("read_side", [4096, 37])
def test_the_confusion_matrix_is_that_of_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downsample: float, read_side: int
) -> None:
    monkeypatch.setattr(score_module, "READ_SIDE", read_side)
    rng = np.random.default_rng(1)
    truth = rng.integers(0, CLASSES, (150, 203), dtype=np.uint8)
    frames = frames_of(truth, downsample)
    width, height = frames.label_size
    labels = rng.integers(0, CLASSES, (height, width), dtype=np.uint8)
    labels[rng.random(labels.shape) < 0.1] = UNPROCESSED_ID
    with TruthImage(write_truth(tmp_path / "t.tiff", truth)) as image:
        found = score_labels(lambda rect: labels[rect.slices], frames, image, CLASSES)
    confusion, unprocessed = brute_force(labels, frames, truth)
    assert np.array_equal(found.confusion.counts[:, :-1], confusion)
    assert not found.confusion.none_found
    assert found.unprocessed == unprocessed
    for c in range(CLASSES):
        union = confusion[c].sum() + confusion[:, c].sum() - confusion[c, c]
        assert found.confusion.iou[c] == pytest.approx(confusion[c, c] / union)


def test_bounds_shift_the_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, CLASSES, (120, 160), dtype=np.uint8)
    frames = frames_of(truth, 2, Bounds(x=31, y=17, width=100, height=90))
    labels = truth[17 + 1 : 17 + 90 : 2, 31 + 1 : 31 + 100 : 2]
    with TruthImage(write_truth(tmp_path / "t.tiff", truth)) as image:
        found = score_labels(lambda rect: labels[rect.slices], frames, image, CLASSES)
    assert found.confusion.pixel_accuracy == 1
    assert found.confusion.mean_iou == 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tiff").write_text("no TIFF")
    tifffile.imwrite(tmp_path / "rgb.tiff", np.zeros((64, 64, 3), np.uint8), photometric="rgb", tile=(64, 64))
    for path in (tmp_path / "text.tiff", tmp_path / "rgb.tiff", tmp_path / "absent.tiff"):
        with pytest.raises(SlideError, match="not a truth image"):
            TruthImage(path)


def test_truth_and_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    truth = np.zeros((100, 100), np.uint8)
    larger = Frames.at_mpp(Bounds(x=0, y=0, width=200, height=100), (0.5, 0.5), 1.0)

    def strange(rect: Rect) -> np.ndarray:
        return np.full((rect.height, rect.width), 7, np.uint8)

    with TruthImage(write_truth(tmp_path / "t.tiff", truth)) as image:
        with pytest.raises(UsageError, match="another slide"):
            score_labels(strange, larger, image, CLASSES)
        with pytest.raises(UsageError, match="class 7"):
            score_labels(strange, frames_of(truth, 2), image, CLASSES)

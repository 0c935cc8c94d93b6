"""Category IoU and iIoU against the reference evaluator, cityscapesscripts."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import NONE_FOUND, Confusion
from wsi_seg.paper.streets.cityscapes_scores import CLASSES, InstanceTally, average, cityscapes_figures

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TO_INDEX = np.full(256, IGNORE, np.uint8)
TO_INDEX[list(LABEL_IDS)] = np.arange(19)
TO_LABEL = np.zeros(256, np.uint8)
TO_LABEL[:19] = LABEL_IDS


@pytest.fixture(autouse=True)
def _numpy_as_the_reference_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give back to numpy what it has renamed and cityscapesscripts 2.3 still calls."""
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)


def reference(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """What cityscapesscripts says of pairs of (instance ids, predicted class indices)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script  # noqa: N813

        script.args.quiet, script.args.JSONOutput = True, False
        predictions, truths = [], []
        for number, (instance_ids, predicted) in enumerate(pairs):
            truth = folder / f"a_00000{number}_000019_gtFine_labelIds.png"
            Image.fromarray(labels_of(instance_ids)).save(truth)
            Image.fromarray(instance_ids.astype(np.uint16)).save(
                truth.with_name(truth.name.replace("labelIds", "instanceIds"))
            )
            prediction = folder / f"a_00000{number}_000019_pred.png"
            Image.fromarray(TO_LABEL[predicted]).save(prediction)
            predictions.append(str(prediction))
            truths.append(str(truth))
        result: dict[str, Any] = script.evaluateImgLists(predictions, truths, script.args)
        return result


def labels_of(instance_ids: np.ndarray) -> np.ndarray:
    return np.where(instance_ids >= 1000, instance_ids // 1000, instance_ids).astype(np.uint8)


def assert_equal_to_reference(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    confusion, instances = Confusion.empty(19), InstanceTally()
    for instance_ids, predicted in pairs:
        confusion.add(TO_INDEX[labels_of(instance_ids)], predicted)
        instances.add(instance_ids, predicted, CLASSES)
    ours, theirs = cityscapes_figures(confusion, CLASSES, instances), reference(folder, pairs)
    for scores, key, mean_key in (
        (ours.class_iou, "classScores", "averageScoreClasses"),
        (ours.class_iiou, "classInstScores", "averageScoreInstClasses"),
        (ours.category_iou, "categoryScores", "averageScoreCategories"),
        (ours.category_iiou, "categoryInstScores", "averageScoreInstCategories"),
    ):
        numbers = {name: value for name, value in theirs[key].items() if not np.isnan(value)}
        assert numbers.keys() == {name for name, value in scores.items() if not np.isnan(value)}
        for name, value in numbers.items():
            assert scores[name] == pytest.approx(value, abs=1e-9), (key, name)
        np.testing.assert_allclose(average(scores), theirs[mean_key], atol=1e-9)


def test_generated_streets_score_as_in_the_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(3):
        # Blocks of every label id there is, of instances of all classes with some, and of groups.
        ids = np.array([*range(34), *(1000 * c + i for c in (24, 25, 26, 29, 30, 33) for i in range(3))])
        truth = np.kron(rng.choice(ids, (12, 16)), np.ones((7, 5), np.int64))
        right = TO_INDEX[labels_of(truth)]
        guess = rng.choice([*range(15), 18, NONE_FOUND], truth.shape).astype(np.uint8)
        keep = (rng.random(truth.shape) < 0.6) & (right != IGNORE)
        pairs.append((truth, np.where(keep, right, guess)))
    assert_equal_to_reference(tmp_path, pairs)


@pytest.mark.slow
def test_real_streets_score_as_in_the_reference(tmp_path: Path, shared_data: Path) -> None:
    """The authors' own labels of one image, and shaken truths of four others."""
    folder = shared_data / "cityscapes" / "gtFine"
    frankfurt = np.array(Image.open(next(folder.glob("val/*/*_instanceIds.png"))), np.int64)
    golden = Image.open(shared_data / "espnet" / "golden_frankfurt_000000_000576_trainIds_1024x512.png")
    enlarged = np.array(golden.resize(frankfurt.shape[::-1], Image.Resampling.NEAREST))
    pairs = [(frankfurt, np.where(enlarged == 19, NONE_FOUND, enlarged))]
    for path in sorted(folder.glob("train/*/*_instanceIds.png")):
        truth = np.array(Image.open(path), np.int64)
        right = TO_INDEX[labels_of(truth)]
        pairs.append((truth, np.roll(np.where(right == IGNORE, NONE_FOUND, right), (9, -14), (0, 1))))
    assert_equal_to_reference(tmp_path, pairs)


def test_without_instances_there_is_no_iiou_and_other_classes_are_passed_over() -> None:
    names = [*CLASSES, "void"]
    truth, predicted = np.array([0, 0, 1, 13], np.uint8), np.array([0, 19, 0, 13], np.uint8)
    figures = cityscapes_figures(Confusion.of(truth, predicted, 20), names, None)
    assert figures.class_iiou == figures.category_iiou == {}
    assert figures.class_iou["road"] == 1 / 3
    assert figures.category_iou["flat"] == 2 / 3
    assert "void" not in figures.class_iou
    assert np.isnan(average(figures.class_iiou))

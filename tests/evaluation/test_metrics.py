"""The confusion matrix and its figures, against counting pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import NONE_FOUND, Confusion

CLASSES = 4


@st.composite
def pictures(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    values = st.sampled_from([*range(CLASSES), 255])
    return draw(arrays(np.uint8, shape, elements=values)), draw(arrays(np.uint8, shape, elements=values))


def sets_of(truth: np.ndarray, predicted: np.ndarray, c: int) -> tuple[set[int], set[int]]:
    """Pixels of a class in truth and prediction, as sets of numbers, where the truth is known."""
    pairs = list(enumerate(zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True)))
    known = [(i, t, p) for i, (t, p) in pairs if t != IGNORE]
    return {i for i, t, _ in known if t == c}, {i for i, _, p in known if p == c}


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@given(pictures())
def test_figures_are_those_of_sets_of_pixels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    confusion = Confusion.of(*pair, CLASSES)
    ious, dices, recalls, hits, known = [], [], [], 0, 0
    for c in range(CLASSES):
        true, found = sets_of(*pair, c)
        both = len(true & found)
        np.testing.assert_equal(confusion.iou[c], ratio(both, len(true | found)))
        np.testing.assert_equal(confusion.dice[c], ratio(2 * both, len(true) + len(found)))
        np.testing.assert_equal(confusion.precision[c], ratio(both, len(found)))
        np.testing.assert_equal(confusion.recall[c], ratio(both, len(true)))
        hits, known = hits + both, known + len(true)
        if true:
            ious.append(confusion.iou[c])
            dices.append(confusion.dice[c])
            recalls.append(confusion.recall[c])
    assert confusion.pixels == known
    np.testing.assert_allclose(confusion.mean_iou, ratio(sum(ious), len(ious)))
    np.testing.assert_allclose(confusion.mean_dice, ratio(sum(dices), len(dices)))
    np.testing.assert_allclose(confusion.class_accuracy, ratio(sum(recalls), len(recalls)))
    np.testing.assert_equal(confusion.pixel_accuracy, ratio(hits, known))


@given(st.lists(pictures(), max_size=4))
def test_pictures_add_up_in_any_way(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    one_by_one, summed = Confusion.empty(CLASSES), Confusion.empty(CLASSES)
    for truth, predicted in pairs:
        one_by_one.add(truth, predicted)
        summed = summed + Confusion.of(truth, predicted, CLASSES)
    at_once = Confusion.of(
        np.concatenate([np.zeros(0, np.uint8), *(t.ravel() for t, _ in pairs)]),
        np.concatenate([np.zeros(0, np.uint8), *(p.ravel() for _, p in pairs)]),
        CLASSES,
    )
    np.testing.assert_array_equal(one_by_one.counts, at_once.counts)
    np.testing.assert_array_equal(summed.counts, at_once.counts)


@given(pictures(), st.lists(st.sampled_from([0, 1, 2, None]), min_size=CLASSES, max_size=CLASSES))
def test_merging_classes_is_merging_labels(
    pair: tuple[np.ndarray, np.ndarray], group_of: list[int | None]
) -> None:
    groups = [[c for c in range(CLASSES) if group_of[c] == g] for g in range(3)]
    table = np.full(256, 255, np.uint8)
    for c, g in enumerate(group_of):
        table[c] = 255 if g is None else g
    truth, predicted = pair
    expected = Confusion.of(table[truth], table[predicted], 3)
    np.testing.assert_array_equal(Confusion.of(*pair, CLASSES).merged(groups).counts, expected.counts)


def test_nothing_found_is_a_false_negative_and_no_false_positive() -> None:
    truth = np.array([0, 0, 0, 1, 1, IGNORE], np.uint8)
    predicted = np.array([0, 0, NONE_FOUND, 1, NONE_FOUND, 0], np.uint8)
    confusion = Confusion.of(truth, predicted, 2)
    assert confusion.counts.tolist() == [[2, 0, 1], [0, 1, 1]]
    assert confusion.none_found == 2
    assert confusion.iou.tolist() == [2 / 3, 1 / 2]
    assert confusion.precision.tolist() == [1, 1]
    assert confusion.pixel_accuracy == 3 / 5


def test_a_class_found_but_not_there_lowers_the_others_and_is_not_in_the_mean() -> None:
    confusion = Confusion.of(np.array([0, 0], np.uint8), np.array([0, 2], np.uint8), 3)
    np.testing.assert_equal(confusion.iou, [0.5, np.nan, 0])
    assert confusion.mean_iou == 0.5


def test_no_pixels_give_no_figures() -> None:
    confusion = Confusion.empty(2)
    assert np.isnan([confusion.mean_iou, confusion.pixel_accuracy, confusion.class_accuracy]).all()
    assert np.isnan(confusion.iou).all()


@pytest.mark.parametrize(("truth", "predicted"), [(2, 0), (254, 0), (0, 2), (0, 254), (2, 255)])
def test_values_that_are_no_class_are_refused(truth: int, predicted: int) -> None:
    with pytest.raises(ValueError, match="not one of the 2"):
        Confusion.of(np.array([truth], np.uint8), np.array([predicted], np.uint8), 2)


def test_shapes_and_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        Confusion.of(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
    with pytest.raises(ValueError, match="add up"):
        Confusion.empty(2) + Confusion.empty(3)

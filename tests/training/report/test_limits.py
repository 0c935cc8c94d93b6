"""What a training says of its limits, in words and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.evaluation.near_outlines import Away
from wsi_seg.training.data.class_extents import ClassExtent
from wsi_seg.training.data.unshown import Kind, Unshown
from wsi_seg.training.report.limits import (
    Limits,
    Ranges,
    Rise,
    before_training,
    chosen_weights,
    why_trusted,
)

SURE = ClassExtent("Stroma", 12, 500_000, 100_000, 4e-6, 9)
DOUBTFUL = ClassExtent("Tumour", 1, 50_000, 8_000, 4e-6, 1)
ABSENT = ClassExtent("Nerve", 0, 0, 0, 4e-6, 0)
CLASSES = (SURE, DOUBTFUL, ABSENT)
FAT = Kind("mostly empty, smooth", 0.19, "slide", (8120, 4410))
LIMITS = Limits(
    classes=CLASSES,
    iou=(0.91234, 0.5, float("nan")),
    ranges=Ranges(None, ((0.85, 0.95), None, None), 7, "tiles"),
    away=None,
    weights=chosen_weights(CLASSES, may_stop=True, averaged=True),
    steps=62,
    enough_steps=700,
    rise=Rise(0.53, 0.47),
    continue_with="wsi-seg train a b --resume --minutes 57",
    unshown=Unshown(0.31, (FAT,), 400),
)


def test_the_table_says_for_each_class_whether_its_score_can_be_trusted() -> None:
    heading, stroma, tumour, weights = LIMITS.table()
    assert heading.split("  ")[0] == "Class"
    assert heading.endswith("  Trusted")
    assert stroma.split() == ["Stroma", "12", "2", "0.4", "9", "0.912", "0.850", "0.950", "yes"]
    assert tumour.split("  ")[-1] == "no: 1 piece kept out, 5 needed"
    assert tumour.split()[:8] == ["Tumour", "1", "0.2", "0.032", "1", "0.500", "-", "-"]
    assert weights == (
        "weights kept: the last, averaged over the last steps, without stopping early: too little is kept "
        "out to tell better weights from worse (Tumour: 1 piece kept out, 5 needed)"
    )


@pytest.mark.parametrize(
    ("classes", "may_stop", "averaged", "kept"),
    [
        ((SURE, ABSENT), True, True, "the best at a validation on part of what is kept out, which flatters"),
        ((SURE, DOUBTFUL), False, True, "the last, averaged over the last steps"),
        ((SURE, ABSENT), False, False, "the last"),
    ],
)
def test_which_weights_are_kept(
    classes: tuple[ClassExtent, ...], may_stop: bool, averaged: bool, kept: str
) -> None:
    assert chosen_weights(classes, may_stop, averaged).startswith(kept)


def test_at_the_end_it_says_whether_more_time_would_help_and_how() -> None:
    assert LIMITS.verdict() == (
        "62 steps were done; this recipe needs about 700",
        "still rising: mean IoU 0.530 in the last third of the validations, 0.470 before",
        "to continue: wsi-seg train a b --resume --minutes 57",
    )
    assert replace(LIMITS, steps=800, rise=Rise(0.47, 0.53)).verdict() == ()
    assert replace(LIMITS, steps=800, rise=None).verdict() == ()
    assert len(replace(LIMITS, rise=None, continue_with=None).verdict()) == 1


def test_before_it_begins_it_says_what_the_data_cannot_teach() -> None:
    one, never = before_training(CLASSES, LIMITS.unshown)
    assert one.startswith("Tumour rests on one outline: ")
    assert never == (
        "31 % of the tissue looks unlike all that is outlined: "
        "mostly empty, smooth (19 %, as at 8120, 4410 of slide)"
    )
    assert before_training((SURE,), Unshown(0.01, (), 400)) == ()
    assert before_training((SURE,), None) == ()


def test_as_json_it_can_be_written_and_holds_all() -> None:
    written = json.loads(json.dumps(LIMITS.as_json(), allow_nan=False))
    assert [each["trusted"] for each in written["classes"]] == [True, False, False]
    assert written["classes"][0]["iou_range"] == [0.85, 0.95]
    assert written["classes"][1]["kept_out_mm2"] == pytest.approx(0.032)
    assert written["still_rising"] is True
    assert written["never_shown"]["kinds"][0]["qupath_xy"] == [8120, 4410]
    assert "draws of 7 tiles" in written["range"]
    none = Ranges(None, (None, None, None), 2, "tiles")
    assert none.method == "no ranges: too few of the 2 tiles kept out show each class"


def test_a_trust_that_is_given_rests_on_an_error_that_is_said() -> None:
    assert f"{0.25 / np.sqrt(5):.2f}" in why_trusted()


def test_scores_away_from_outlines_are_told() -> None:
    every = Confusion(np.array([[80, 20, 0], [10, 90, 0]]))
    away = Confusion(np.array([[60, 5, 0], [0, 75, 0]]))
    limits = replace(LIMITS, away=Away(every, away))
    line = (
        "more than 20 um from any outline: mean IoU 0.9303, pixel accuracy 0.9643, on 70% of the pixels; "
        "83% of the wrong pixels lie nearer"
    )
    assert line in limits.table()
    assert f"M{line[1:]}." in limits.remarks()
    assert limits.as_json()["away_from_outlines"] == {
        "um": 20,
        "pixels": 140,
        "mean_iou": pytest.approx((60 / 65 + 75 / 80) / 2),
        "pixel_accuracy": pytest.approx(135 / 140),
        "iou": [pytest.approx(60 / 65), pytest.approx(75 / 80)],
        "wrong_pixels_nearer": pytest.approx(25 / 30),
    }
    assert LIMITS.as_json()["away_from_outlines"] is None


def test_a_class_that_lies_near_outlines_throughout_is_told_to_be_missing_from_the_mean() -> None:
    every = Confusion(np.array([[80, 20, 0], [10, 90, 0]]))
    away = Confusion(np.array([[60, 5, 0], [0, 0, 0]]))
    told = "mean IoU 0.9231 (over 1 of 2 classes, as none is left of the others), pixel accuracy 0.9231"
    assert told in str(Away(every, away))

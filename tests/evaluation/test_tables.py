"""An evaluation on the screen and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wsi_seg.errors import UsageError
from wsi_seg.evaluation.evaluation import Evaluation, Tally
from wsi_seg.evaluation.matching import match_classes
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.evaluation.tables import as_json, as_text
from wsi_seg.models.classes import ClassSchema, TissueClass, load_schema
from wsi_seg.paper.streets.cityscapes_scores import CLASSES, InstanceTally, cityscapes_figures

SCHEMA = ClassSchema(
    name="four",
    classes=tuple(
        TissueClass(id=i, name=name, color=(i, 0, 0))
        for i, name in enumerate(("Stroma", "Tumour", "Fat", "Pen"))
    ),
)


def evaluation(*names: str) -> Evaluation:
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1, 255], np.uint8)
    labels = np.array([0, 0, 0, 2, 1, 1, 254, 255, 1], np.uint8)
    tallies = []
    for name in names:
        tally = Tally.empty(name, 4)
        tally.add(truth, labels, match_classes(SCHEMA, SCHEMA, "model"))
        tallies.append(tally)
    return Evaluation("model", "slides", SCHEMA, tuple(tallies), remarks=("Not for diagnosis.",))


def test_where_nothing_is_known_a_line_says_what_is_known_of_the_data_and_not_of_the_model() -> None:
    nothing = evaluation()
    with pytest.raises(UsageError) as refused:
        nothing.checked(["a.geojson: beside the tissue"])
    assert str(refused.value) == (
        "slides: no pixel of known class: give images with masks, or outlined areas "
        "(a.geojson: beside the tissue)"
    )
    assert evaluation("a").checked().total.confusion.pixels == 8


def test_the_text_says_it_all() -> None:
    assert as_text(evaluation("a", "b")).splitlines() == [
        "model on slides: 2 sources, 16 pixels of known class",
        "no class was found in 4 px of these, which count as wrong: 2 unprocessed, 2 where no tissue was "
        "found, or outside of the regions asked for",
        "",
        "class      IoU    Dice  precision  recall  true px  found px",
        "Stroma  0.7500  0.8571     1.0000  0.7500        8         6",
        "Tumour  0.5000  0.6667     1.0000  0.5000        8         4",
        "Fat     0.0000  0.0000     0.0000       -        0         2",
        "neither in the truth nor found: Pen",
        "",
        "mean IoU 0.6250, mean Dice 0.7619, class accuracy 0.6250: over the 2 classes in the truth",
        "pixel accuracy 0.6250",
        "",
        "% of true class     1     2     3  none",
        "1 Stroma         75.0   0.0  25.0   0.0",
        "2 Tumour          0.0  50.0   0.0  50.0",
        "",
        "source  mean IoU  pixel accuracy  pixels",
        "a         0.6250          0.6250       8",
        "b         0.6250          0.6250       8",
        "",
        "Not for diagnosis.",
    ]


def test_the_json_says_it_all() -> None:
    content = json.loads(as_json(evaluation("a", "b")))
    assert content["none_found"] == {
        "pixels": 4,
        "unprocessed": 2,
        "not_asked_for": 2,
        "class_not_in_truth": 0,
    }
    assert content["confusion"]["columns"] == ["Stroma", "Tumour", "Fat", "Pen", "none"]
    assert content["confusion"]["counts"][:2] == [[6, 0, 2, 0, 0], [0, 4, 0, 0, 4]]
    assert content["mean_iou"] == 0.625
    assert content["means_are_over"] == ["Stroma", "Tumour"]
    stroma, _, fat, pen = content["classes"]
    assert stroma["iou"] == 0.75
    assert (fat["iou"], fat["recall"], pen["iou"]) == (0, None, None)
    assert [source["name"] for source in content["sources"]] == ["a", "b"]


def test_streets_have_more_to_say() -> None:
    schema = load_schema("cityscapes")
    ids, predicted = np.array([24001, 24001, 26002, 7], np.int32), np.array([11, 12, 13, 0], np.uint8)
    instances = InstanceTally()
    instances.add(ids, predicted, CLASSES)
    tally = Tally("a", Confusion.of(np.array([11, 11, 13, 0], np.uint8), predicted, 19), Confusion.empty(19))
    figures = cityscapes_figures(tally.confusion, CLASSES, instances)
    streets = Evaluation("model", "streets", schema, (tally,), figures)
    content = json.loads(as_json(streets))["cityscapes"]
    assert content["class_iiou"]["person"] == 0.5
    assert content["category_iiou"] == {"human": 1, "vehicle": 1}
    assert content["class_iiou"]["train"] is None
    assert content["mean_category_iou"] == 1
    text = as_text(streets).splitlines()
    assert "person              0.5000  0.5000" in text
    assert "flat                1.0000       -" in text


def test_without_instances_there_is_no_iiou_to_show() -> None:
    confusion = Confusion.of(np.array([0], np.uint8), np.array([0], np.uint8), 19)
    figures = cityscapes_figures(confusion, CLASSES, None)
    streets = Evaluation(
        "m", "d", load_schema("cityscapes"), (Tally("a", confusion, Confusion.empty(19)),), figures
    )
    assert json.loads(as_json(streets))["cityscapes"]["mean_class_iiou"] is None
    assert "mean of classes     1.0000     -" in as_text(streets)

"""The report of a training: what it says is what it was given, and it can always be written."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.batches import Page
from PIL import Image

from wsi_seg.errors import OutputError
from wsi_seg.models.classes import OUTSIDE_ID, ClassSchema, TissueClass
from wsi_seg.training.report.contents import Example, HistoryRow, TrainingReport
from wsi_seg.training.report.examples import label_values
from wsi_seg.training.report.html import render_html
from wsi_seg.training.report.markdown import render_markdown
from wsi_seg.training.report.training_charts import draw_confusion, draw_curves, draw_scores
from wsi_seg.training.report.training_page import compose
from wsi_seg.training.report.write_training_report import write_report

CONFUSION = np.array([[800, 100, 100], [50, 450, 0], [0, 0, 2000]])
HISTORY = (
    HistoryRow(10, 0, 3.0, 1e-3, 1.5),
    HistoryRow(20, 1, 6.5, 5e-4, 1.0, 0.9, 0.4),
    HistoryRow(30, 1, 9.0, 1e-4, math.nan, None, math.inf),
)
FACTS = {
    "data": {"slides": ["a.tiff", "b.tiff"], "labelled_pixels": {"Glass": 1_234_567, "Tumour": 0}},
    "split": "by slide <whole>",
    "recipe": {"optimiser": {"name": "adam", "betas": [0.9, 0.999]}, "minutes": None},
}


def example(size: int = 40) -> Example:
    rgb = np.random.default_rng(0).integers(0, 256, (size, size + 10, 3), dtype=np.uint8)
    truth = np.zeros((size, size + 10), np.uint8)
    truth[:10], truth[10:20] = 1, 255
    return Example("a.tiff, x 100", rgb, truth, np.ones_like(truth))


def report(**changes: Any) -> TrainingReport:
    content: dict[str, Any] = {
        "title": "Training of a < b",
        "command": "wsi-seg train a.tiff a.geojson --rest 'Other & more'",
        "schema": SCHEMA,
        "history": HISTORY,
        "confusion": CONFUSION,
        "examples": (example(),),
        "facts": FACTS,
    }
    return TrainingReport(**(content | changes))


CHARTS = ("examples.png", "scores.png", "confusion.png", "curves.png")


def test_all_files_are_there_and_the_page_needs_none_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    path = write_report(folder, report())
    assert path == folder / "report.html"
    page = Page(path.read_text())
    assert len(page.pictures) == 7  # three in the legend, three panels, the curves
    assert all(source.startswith("data:image/") for source in page.pictures)
    for name in CHARTS:
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.width > 300
            assert np.ptp(np.asarray(picture.convert("L"))) > 200
    assert {p.name for p in folder.iterdir()} == {
        *CHARTS,
        "examples",
        "report.html",
        "report.md",
        "report.json",
    }
    text = (folder / "report.md").read_text()
    assert all(f"]({name})" in text for name in CHARTS)
    for said in (page.text, text.replace("\\<", "<")):
        assert "Training of a < b" in said
        assert "wsi-seg train a.tiff a.geojson --rest 'Other & more'" in said
        assert "by slide <whole>" in said
        assert "Glass: 1,234,567" in said
        assert "betas: 0.9, 0.999" in said


def test_the_page_says_the_scores_first_and_leads_to_every_section(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, report()).read_text())
    scores = report().scores
    begin = f"Training of a < b mIoU {scores.mean_iou:.3f} mean Dice {scores.mean_dice:.3f} pixel accuracy"
    assert page.words.split("Training of a < b ", 1)[1].startswith(begin)
    assert page.links == [f"#{anchor}" for anchor in page.anchors]
    assert page.anchors[:4] == ["scores-by-class", "confusion-matrix", "examples", "curves"]


def test_cells_of_the_page_say_shares_of_rows_and_counts(tmp_path: Path) -> None:
    words = Page(write_report(tmp_path, report()).read_text()).words
    assert (
        "Glass 80.0 800 10.0 100 10.0 100 1,000 Stroma 10.0 50 90.0 450 500 Tumour 100.0 2 k 2,000" in words
    )


def test_json_holds_what_was_given(tmp_path: Path) -> None:
    write_report(tmp_path, report())
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["command"] == report().command
    assert data["confusion"] == CONFUSION.tolist()
    assert data["facts"] == FACTS
    assert data["schema"] == SCHEMA.model_dump(mode="json")
    (said,) = data["examples"]
    assert (said["name"], said["place"]) == ("a.tiff, x 100", None)
    assert (said["right"], said["known"]) == (pytest.approx(1 / 3), 0.75)
    assert [(c["name"], c["iou"]) for c in said["classes"]] == [
        ("Glass", 0),
        ("Stroma", pytest.approx(1 / 3)),
    ]
    assert list(said["pictures"]) == ["image", "truth", "prediction"]
    for file in said["pictures"].values():
        with Image.open(tmp_path / file) as picture:
            assert picture.size == (480, 384)
    write_report(tmp_path, report(examples=()))
    assert not (tmp_path / "examples").exists()
    assert data["history"][1] == {
        "step": 20,
        "epoch": 1,
        "seconds": 6.5,
        "learning_rate": 5e-4,
        "train_loss": 1.0,
        "val_loss": 0.9,
        "val_miou": 0.4,
        "val_diagnosis": None,
        "stage": 1,
    }
    assert data["history"][2]["train_loss"] is None
    assert data["history"][2]["val_miou"] is None


def test_scores_follow_from_the_confusion_matrix(tmp_path: Path) -> None:
    write_report(tmp_path, report())
    scores = json.loads((tmp_path / "report.json").read_text())["scores"]
    iou = [800 / 1050, 450 / 600, 2000 / 2100]
    dice = [1600 / 1850, 900 / 1050, 4000 / 4100]
    assert [c["iou"] for c in scores["classes"]] == pytest.approx(iou)
    assert [c["dice"] for c in scores["classes"]] == pytest.approx(dice)
    assert [c["pixels"] for c in scores["classes"]] == [1000, 500, 2000]
    assert scores["mean_iou"] == pytest.approx(np.mean(iou))
    assert scores["mean_dice"] == pytest.approx(np.mean(dice))
    assert scores["pixel_accuracy"] == pytest.approx(3250 / 3500)
    text = (tmp_path / "report.md").read_text()
    assert f"mIoU {np.mean(iou):.3f}" in text
    assert re.search(r"\| Tumour +\| 0\.952 \| 0\.976 \|", text)


def test_a_class_without_pixels(tmp_path: Path) -> None:
    confusion = CONFUSION.copy()
    confusion[1] = confusion[:, 1] = 0
    write_report(tmp_path, report(confusion=confusion))
    scores = json.loads((tmp_path / "report.json").read_text())["scores"]
    assert scores["classes"][1]["iou"] is None
    assert scores["mean_iou"] == pytest.approx((800 / 900 + 2000 / 2100) / 2)
    assert "Not in the truth, so not part of the means: Stroma." in (tmp_path / "report.md").read_text()


def test_nothing_validated_and_an_older_report_in_the_folder(tmp_path: Path) -> None:
    write_report(tmp_path, report())
    bare = report(history=(), confusion=np.zeros((3, 3), np.int64), examples=(), facts={})
    page = Page(write_report(tmp_path, bare).read_text())
    assert not (tmp_path / "examples.png").exists()
    assert len(page.pictures) == 1
    assert "there are no scores" in page.text
    assert json.loads((tmp_path / "report.json").read_text())["scores"]["mean_iou"] is None


@pytest.mark.parametrize(
    "history",
    [
        (),
        (HistoryRow(0, 0, 0.0, 1e-3),),
        (HistoryRow(5, 0, 2.0, 0.0, 0.7, 0.8, 0.5),),
        (HistoryRow(5, 0, 2.0, 1e-3, 0.0, math.nan, 0.0), HistoryRow(5, 0, 2.0, 1e-3, -1.0)),
        tuple(HistoryRow(i, 0, i * 0.3, 1e-3, 1 / (i + 1)) for i in range(500)),
    ],
)
def test_any_history_can_be_drawn(history: list[HistoryRow]) -> None:
    figure = draw_curves(history)
    figure.draw_without_rendering()


def test_curves_hold_the_numbers_that_were_given() -> None:
    losses, miou, rate = draw_curves(HISTORY).axes[:3]
    train, validation = losses.lines[:2]
    assert np.asarray(train.get_xydata()).tolist() == [[10, 1.5], [20, 1.0]]
    assert np.asarray(validation.get_xydata()).tolist() == [[20, 0.9]]
    assert np.asarray(miou.lines[0].get_xydata()).tolist() == [[20, 0.4]]
    assert np.asarray(rate.lines[0].get_ydata()).tolist() == [1e-3, 5e-4, 1e-4]


def test_no_curve_leads_from_one_stage_to_the_next() -> None:
    rows = [HistoryRow(10 * i, 0, i, 1e-3, 1 / (i % 100 + 1), stage=1 + i // 100) for i in range(200)]
    losses, _, rate = draw_curves(rows).axes[:3]
    for line in (*losses.lines[:2], rate.lines[0]):
        broken = np.isnan(np.asarray(line.get_xydata())[:, 1])
        assert np.flatnonzero(broken).tolist() == [100]
    mean = np.asarray(losses.lines[1].get_ydata())
    assert mean[99] < 0.02 < 0.2 < mean[101]


@pytest.mark.parametrize("count", [2, 9, 40])
def test_names_are_drawn_whole_or_shortened_whatever_they_hold(count: int, tmp_path: Path) -> None:
    names = [
        f"Klasse {i} Größe $x_{i} 腫瘍 with a name that goes on and on and on and on" for i in range(count)
    ]
    classes = tuple(TissueClass(id=i, name=name, color=(i, 0, 0)) for i, name in enumerate(names))
    schema = ClassSchema(name="many", classes=classes)
    confusion = np.eye(count, dtype=np.int64) * 1_000_000 + 3
    content = report(schema=schema, confusion=confusion, examples=())
    for figure in (draw_confusion(content.scores, names), draw_scores(content.scores, names)):
        figure.draw_without_rendering()
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert labels[0].startswith("Klasse 0 Größe")
        assert max(len(line) for label in labels for line in label.split("\n")) <= 32
    write_report(tmp_path, content)
    for page in (render_html(compose(content), tmp_path), render_markdown(compose(content))):
        assert names[-1] in page


def test_confusion_cells_say_shares_of_rows_and_counts() -> None:
    texts = [t.get_text() for t in draw_confusion(report().scores, report().names).axes[0].texts]
    for said in ("80.0", "800", "10.0", "100", "90.0", "450", "2 k", "1,000", "500", "2,000"):
        assert said in texts
    assert "0.0" not in texts


def test_unknown_pixels_are_veiled_and_indices_become_label_values() -> None:
    schema = ClassSchema(
        name="ids",
        classes=(TissueClass(id=7, name="a", color=(0, 0, 0)), TissueClass(id=3, name="b", color=(9, 9, 9))),
    )
    values = label_values(np.array([[0, 1, 255]], np.uint8), schema)
    assert values.tolist() == [[7, 3, OUTSIDE_ID]]


def test_names_are_no_markup(tmp_path: Path) -> None:
    evil = "<b>*x*</b> [y](javascript:z) | `a` _b_ my_class # &lt;"
    classes = tuple(TissueClass(id=i, name=f"{evil}{i}", color=(i, 0, 0)) for i in range(2))
    content = report(
        title=f"# {evil}",
        schema=ClassSchema(name="evil", classes=classes),
        confusion=np.eye(2, dtype=np.int64),
        examples=(),
        facts={evil: {evil: f"1. {evil}\n- {evil}"}, "said": evil},
    )
    text = render_markdown(compose(content))
    for mark in ("<b>", "*x*", "[y]", "`a`", " | `", " _b_", "&lt;"):
        assert mark not in text.replace(f"\\{mark}", "")
    assert "my_class" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    page = write_report(tmp_path, content).read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert Page(page).text.count(evil) > 8


def test_the_command_is_said_once() -> None:
    content = report(facts=FACTS | {"command": report().command})
    assert render_markdown(compose(content)).count("wsi-seg train") == 1


def test_a_confusion_matrix_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="3 classes"):
        report(confusion=np.zeros((2, 2), np.int64))


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report", report())

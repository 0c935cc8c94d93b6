"""Models on annotated slides, and finished results, against a truth that is known by construction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from conftest import damage_tile, tissue_rgb, write_model, write_tiff
from helpers.drawn import write_boxes
from helpers.results import labels_of

from wsi_seg.data.annotated_slides import open_labelled_slides
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, OutputError, SlideError, UsageError
from wsi_seg.evaluation.areas import Comparison
from wsi_seg.evaluation.evaluation import Evaluation
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.evaluation.near_outlines import Away, near_outlines
from wsi_seg.evaluation.on_results import evaluate_results
from wsi_seg.evaluation.on_slides import evaluate_slides
from wsi_seg.evaluation.tables import as_json, as_text
from wsi_seg.inference.network.segmenter import Segmented, Segmenter
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema, TissueClass
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.progress import Progress
from wsi_seg.results.folder import is_result
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

SMALL = LabelSettings(patch=192, overlap=64, region_cores=1)
REST = TruthSettings(rest="Stroma")
TUMOUR, GLASS = (100, 60, 340, 260), (200, 100, 260, 160)
"""The second lies in the first: a hole of another class."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    return write_boxes(folder / "drawn.geojson", ("Tumour", TUMOUR), ("Glass", GLASS))


@pytest.fixture(scope="module")
def result(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "tissue"
    predict(slide_path, out, model_path)
    return out


def predict(slide: Path, out: Path, model: Path, **labels: object) -> None:
    settings = SMALL.model_copy(update=labels)
    predict_slide(slide, out, PredictSettings(model=str(model), labels=settings, run=RunSettings(workers=2)))


def on_slide(
    slide: Path, drawn: Path, model: Path, truth: TruthSettings | None = None, **labels: object
) -> Evaluation:
    settings = PredictSettings(model=str(model), labels=SMALL.model_copy(update=labels))
    bundle = load_bundle(model)
    mpp = settings.labels.working_mpp or 2.0
    schema, slides = open_labelled_slides([(slide, drawn)], bundle.schema, mpp, truth)
    return evaluate_slides(slides, schema, bundle, torch.device("cpu"), settings)


def test_a_slide_that_the_model_was_trained_on_is_told(
    slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(slide_path, tmp_path / "renamed.tiff"))
    bundle = load_bundle(model_path)
    known = bundle.header.model_copy(update={"training": {"slides": [Slide(slide_path).fingerprint]}})
    save_bundle(tmp_path / "known.safetensors", bundle.network, known)
    told = f"{copy}: the model was trained on parts of this slide, which flatters the scores"
    assert told in on_slide(copy, drawn, tmp_path / "known.safetensors").remarks
    assert told not in on_slide(copy, drawn, model_path).remarks


def test_a_slide_that_is_replaced_meanwhile_has_no_scores(
    slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    slide = Path(shutil.copy(slide_path, tmp_path / "s.tiff"))
    bundle = load_bundle(model_path)
    schema, slides = open_labelled_slides([(slide, drawn)], bundle.schema, 2.0)
    write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1)).replace(slide)
    settings = PredictSettings(model=str(model_path), labels=SMALL)
    with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read"):
        evaluate_slides(slides, schema, bundle, torch.device("cpu"), settings)


def truth_of_boxes(rest: int = 255) -> np.ndarray:
    truth = np.full((500, 700), rest, np.uint8)
    for value, (x0, y0, x1, y1) in ((2, TUMOUR), (0, GLASS)):
        truth[y0:y1, x0:x1] = value
    return truth


@pytest.mark.parametrize(("settings", "rest"), [(None, 255), (REST, 1)])
def test_a_model_and_its_result_score_alike_and_as_counted_by_hand(
    slide_path: Path, drawn: Path, model_path: Path, result: Path, settings: TruthSettings | None, rest: int
) -> None:
    by_hand = Confusion.of(truth_of_boxes(rest), labels_of(result), 3)
    assert by_hand.hits.any()
    assert (by_hand.hits < by_hand.true_pixels).any()
    finished = evaluate_results([(result, drawn)], settings=settings)
    anew = on_slide(slide_path, drawn, model_path, settings)
    np.testing.assert_array_equal(finished.total.confusion.counts, by_hand.counts)
    np.testing.assert_array_equal(anew.total.confusion.counts, by_hand.counts)
    assert finished.names == anew.names == ("Glass", "Stroma", "Tumour")
    assert finished.subject == anew.subject == "test"


def test_tissue_is_the_same_to_prediction_training_and_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.slides.frames.OVERVIEW_SIDE", 200)
    rgb = (240 + np.random.default_rng(0).integers(-3, 4, (500, 700, 3))).astype(np.uint8)
    rows, columns = np.mgrid[:500, :700]
    disc = (rows - 250) ** 2 + (columns - 250) ** 2 < 180**2
    rgb[disc] = tissue_rgb(500, 700)[disc]
    rgb[:, 400:] = 240  # what the file fills in
    slide, model = write_tiff(tmp_path / "part.tiff", rgb), write_model(tmp_path / "m.safetensors", 1)
    predict(slide, tmp_path / "out", model)
    predicted = labels_of(tmp_path / "out") == 1
    assert 0.7 * disc.sum() < predicted.sum() < predicted.size / 2
    assert not predicted[:, 408:].any()

    drawn = write_boxes(tmp_path / "drawn.geojson", ("Tumour", TUMOUR))
    bundle = load_bundle(model)
    _, (labelled,) = open_labelled_slides([(slide, drawn)], bundle.schema, 2.0, REST)
    rest = labelled.truth.read(Rect(0, 0, 500, 700))
    outlined = np.zeros(rest.shape, bool)
    outlined[60:260, 100:340] = True
    np.testing.assert_array_equal(rest[~outlined] == 1, predicted[~outlined])

    finished, anew = (
        evaluate_results([(tmp_path / "out", drawn)], settings=REST),
        on_slide(slide, drawn, model, REST),
    )
    stroma, tumour = int(predicted[~outlined].sum()), int(predicted[outlined].sum())
    expected = [[0, 0, 0, 0], [0, stroma, 0, 0], [240 * 200 - tumour, tumour, 0, 0]]
    assert finished.total.confusion.counts.tolist() == expected
    assert anew.total.confusion.counts.tolist() == expected


def test_only_what_is_annotated_is_segmented(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = []
    plain = Segmenter.__call__

    def counted(self: Segmenter, batch: np.ndarray, **more: Any) -> Segmented:
        patches.append(len(batch))
        return plain(self, batch, **more)

    monkeypatch.setattr(Segmenter, "__call__", counted)
    drawn = write_boxes(tmp_path / "small.geojson", ("Tumour", (300, 300, 310, 310)))
    evaluation = on_slide(slide_path, drawn, model_path)
    assert sum(patches) == 1
    assert evaluation.total.confusion.pixels == 100


def test_unreadable_parts_are_wrong_and_counted(drawn: Path, tmp_path: Path) -> None:
    slide = damage_tile(write_tiff(tmp_path / "torn.tiff", tissue_rgb(500, 700)), 8)
    model = write_model(tmp_path / "tumour.safetensors", constant=2)
    predict(slide, tmp_path / "out", model, tissue_mask=False)
    torn = labels_of(tmp_path / "out") == UNPROCESSED_ID
    of_glass, of_tumour = (int((torn & (truth_of_boxes() == value)).sum()) for value in (0, 2))
    assert of_tumour > 1000
    finished = evaluate_results([(tmp_path / "out", drawn)])
    for evaluation in (finished, on_slide(slide, drawn, model, tissue_mask=False)):
        assert (evaluation.total.unprocessed, evaluation.total.outside) == (of_glass + of_tumour, 0)
        tumour, glass = 240 * 200 - 60 * 60, 60 * 60
        assert evaluation.total.confusion.counts.tolist() == [
            [0, 0, glass - of_glass, of_glass],
            [0, 0, 0, 0],
            [0, 0, tumour - of_tumour, of_tumour],
        ]


def test_what_was_not_asked_for_is_wrong_and_counted(
    slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path
) -> None:
    roi = write_boxes(tmp_path / "roi.geojson", ("Region", (0, 0, 150, 500)))
    predict(slide_path, tmp_path / "out", model_path, roi=roi)
    evaluation = evaluate_results([(tmp_path / "out", drawn)])
    assert evaluation.total.outside == int((labels_of(tmp_path / "out")[60:260, 100:340] == OUTSIDE_ID).sum())
    assert evaluation.total.confusion.none_found == evaluation.total.outside == 190 * 200


def test_regions_of_interest_bound_what_is_known(result: Path, tmp_path: Path) -> None:
    drawn = write_boxes(
        tmp_path / "roi.geojson", ("Exhaustive", (50, 50, 350, 350)), ("Tumour", TUMOUR), ("Glass", GLASS)
    )
    truth = np.full((500, 700), 255, np.uint8)
    truth[50:350, 50:350] = 1
    truth = np.where(truth_of_boxes() == 255, truth, truth_of_boxes())
    settings = TruthSettings(rest="Stroma", roi_class="exhaustive")
    evaluation = evaluate_results([(result, drawn)], settings=settings)
    expected = Confusion.of(truth, labels_of(result), 3)
    np.testing.assert_array_equal(evaluation.total.confusion.counts, expected.counts)


def test_another_schema_merges_classes(result: Path, drawn: Path) -> None:
    coarser = ClassSchema(
        name="coarser",
        classes=(
            TissueClass(id=5, name="Tumour", color=(1, 2, 3)),
            TissueClass(id=9, name="Rest", color=(3, 2, 1), aliases=("Glass", "Stroma")),
        ),
    )
    expected = Confusion.of(truth_of_boxes(), labels_of(result), 3).merged([[2], [0, 1]])
    evaluation = evaluate_results([(result, drawn)], coarser)
    np.testing.assert_array_equal(evaluation.total.confusion.counts, expected.counts)


def test_results_add_up_and_files_of_one_go_together(result: Path, drawn: Path, tmp_path: Path) -> None:
    other = write_boxes(tmp_path / "other.geojson", ("Stroma", (400, 300, 500, 400)))
    one = evaluate_results([(result, drawn)])
    both = evaluate_results([(result, drawn), (result / "slide.ome.zarr", other)])
    assert len(both.tallies) == 1
    assert both.total.confusion.pixels == one.total.confusion.pixels + 10_000


def test_shapes_beyond_the_slide_are_told_of_a_result_as_of_a_model(
    slide_path: Path, model_path: Path, result: Path, tmp_path: Path
) -> None:
    drawn = write_boxes(tmp_path / "half.geojson", ("Tumour", TUMOUR), ("Tumour", (7000, 0, 7100, 100)))
    finished, anew = evaluate_results([(result, drawn)]), on_slide(slide_path, drawn, model_path)
    assert f"{drawn}: 1 of 2 shapes lies outside of {slide_path.name}" in finished.remarks
    assert set(finished.remarks) <= set(anew.remarks)
    drawn = write_boxes(tmp_path / "off.geojson", ("Tumour", (7000, 0, 7100, 100)))
    with pytest.raises(AnnotationError) as of_result:
        evaluate_results([(result, drawn)])
    with pytest.raises(AnnotationError) as of_model:
        on_slide(slide_path, drawn, model_path)
    assert str(of_result.value) == str(of_model.value)
    assert f"off.geojson: no shape lies on {slide_path.name}: was it drawn" in str(of_result.value)


def test_progress_counts_what_is_annotated(result: Path, drawn: Path) -> None:
    class Recorder(Progress):
        heard: list[object]

        def begin(
            self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions"
        ) -> None:
            self.heard = [slide, done, megapixels]
            self.left, self.megapixels = regions, megapixels

        def advance(self, megapixels: float) -> None:
            self.left, self.megapixels = self.left - 1, self.megapixels - megapixels

    progress = Recorder()
    evaluate_results([(result, drawn)], progress=progress)
    assert progress.heard == ["tissue", 0, 0.048]
    assert progress.left == 0
    assert progress.megapixels == pytest.approx(0)


def test_what_cannot_be_compared_is_refused(result: Path, drawn: Path, tmp_path: Path) -> None:
    unknown = write_boxes(tmp_path / "unknown.geojson", ("Fat", TUMOUR))
    with pytest.raises(AnnotationError, match="'Fat'"):
        evaluate_results([(result, unknown)])
    between = write_boxes(tmp_path / "between.geojson", ("Tumour", (50.6, 50.6, 51.4, 51.4)))
    with pytest.raises(UsageError, match="tissue: no pixel of known class"):
        evaluate_results([(result, between)])
    half = tmp_path / "half"
    (half / ".wsi-seg").mkdir(parents=True)
    assert is_result(half)
    with pytest.raises(OutputError, match="half: not finished"):
        evaluate_results([(half, drawn)])
    (half / "model.safetensors").touch()
    with pytest.raises(UsageError, match=r"half: is a training: give its model, .*model\.safetensors"):
        evaluate_results([(half, drawn)])


def test_outlines_beside_the_tissue_of_a_result_are_told(model_path: Path, tmp_path: Path) -> None:
    """Those of another slide, or of another level, lie on the slide, and on the wrong things."""
    other = write_boxes(
        tmp_path / "other.geojson", ("Tumour", (520, 10, 690, 200)), ("Stroma", (450, 300, 690, 400))
    )
    rgb = tissue_rgb(500, 700)
    rgb[:, 480:] = 243
    slide = write_tiff(tmp_path / "half.tiff", rgb)
    predict(slide, tmp_path / "out", model_path)

    (told,) = evaluate_results([(tmp_path / "out", other)]).remarks

    assert told == (
        f"{other}: 95% of what is outlined lies where half.tiff has no tissue: was it drawn on "
        "another slide, or on another level of this one?"
    )
    assert told in on_slide(slide, other, model_path).remarks


def test_where_nothing_is_known_the_remarks_on_the_outlines_say_why(model_path: Path, tmp_path: Path) -> None:
    other = write_boxes(tmp_path / "other.geojson", ("Tumour", (520, 10, 690, 200)))
    rgb = tissue_rgb(500, 700)
    rgb[:, 500:] = 240  # filled, as between scanned fields
    slide = write_tiff(tmp_path / "half.tiff", rgb)
    predict(slide, tmp_path / "out", model_path)

    said = r"no pixel of known class: .* areas \(.*other\.geojson: 100% of what is outlined lies where"
    with pytest.raises(UsageError, match=said):
        evaluate_results([(tmp_path / "out", other)])
    with pytest.raises(UsageError, match=said):
        on_slide(slide, other, model_path)


def test_rest_needs_a_tissue_mask(slide_path: Path, drawn: Path, model_path: Path, tmp_path: Path) -> None:
    predict(slide_path, tmp_path / "out", model_path, tissue_mask=False)
    with pytest.raises(UsageError, match="out: has no tissue mask"):
        evaluate_results([(tmp_path / "out", drawn)], settings=REST)
    assert evaluate_results([(tmp_path / "out", drawn)]).total.confusion.pixels == 240 * 200


@pytest.mark.parametrize(("settings", "rest"), [(None, 255), (REST, 1)])
def test_scores_away_from_outlines_leave_out_what_lies_within_20_um(
    slide_path: Path, drawn: Path, model_path: Path, result: Path, settings: TruthSettings | None, rest: int
) -> None:
    y, x = np.mgrid[:500, :700] + 0.5
    edges = shapely.union_all([shapely.box(*box).exterior for box in (TUMOUR, GLASS)])
    distance_um = 2 * shapely.distance(shapely.points(x, y), edges)
    finished = evaluate_results([(result, drawn)], settings=settings)
    anew = on_slide(slide_path, drawn, model_path, settings)
    assert finished.away is not None
    assert anew.away is not None
    np.testing.assert_array_equal(anew.away.away.counts, finished.away.away.counts)
    most, least = (
        Confusion.of(np.where(distance_um > um, truth_of_boxes(rest), 255), labels_of(result), 3).counts
        for um in (18.5, 21.5)
    )
    counts = finished.away.away.counts
    assert 0 < least.sum() <= counts.sum() <= most.sum() < finished.total.confusion.pixels
    assert (least <= counts).all()
    assert (counts <= most).all()
    assert f"\n{finished.away}\n" in as_text(finished)


def test_labels_that_are_off_by_less_are_right_away_from_outlines(
    slide_path: Path, drawn: Path, model_path: Path
) -> None:
    bundle = load_bundle(model_path)
    _, (slide,) = open_labelled_slides([(slide_path, drawn)], bundle.schema, 2.0, REST)
    comparison = Comparison(
        name="slide",
        truth=slide.truth,
        classes=3,
        read=lambda rect: slide.truth.read(Rect(rect.y0, rect.x0 + 8, rect.y1, rect.x1 + 8)),
        near=near_outlines(slide.truth, slide.frames.label_mpp),
        table=np.arange(256).astype(np.uint8),
    )
    tally = comparison.score([Rect(0, 0, 250, 400), Rect(250, 0, 480, 400)], Progress())
    assert tally.confusion.pixel_accuracy < 0.99
    assert tally.away.pixel_accuracy == 1
    away = Away(tally.confusion, tally.away)
    assert away.nearer == 1
    assert str(away).endswith("; 100% of the wrong pixels lie nearer")


def test_without_pixels_away_from_outlines_nothing_is_said(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    small = write_boxes(tmp_path / "small.geojson", ("Tumour", (300, 300, 310, 310)))
    evaluation = on_slide(slide_path, small, model_path)
    assert evaluation.away is None
    assert "outline:" not in as_text(evaluation)
    assert json.loads(as_json(evaluation))["away_from_outlines"] is None

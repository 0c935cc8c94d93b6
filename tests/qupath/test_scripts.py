"""What the scripts for QuPath do in a study, and what the program makes of what they write."""

from __future__ import annotations

import json
import re

import pytest
from conftest import SCHEMA
from helpers.pages import ROOT
from helpers.qupath_features import BESIDE, feature
from helpers.qupath_scripts import COMMAND, OF_ANOTHER, OUTLINED, SCRIPTS, UNCLASSIFIED, Study

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.data.pairs import read_pairs
from wsi_seg.results.qupath.geojson_check import check_file


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.groovy")))
def test_without_an_image_of_a_project_a_script_says_so(study: Study, script: str) -> None:
    said = study.said(f"nothing open: {script}")
    assert re.fullmatch(r"NOT (EXPORTED|SEGMENTED|IMPORTED|SENT): open an image of a project first", said)


def test_no_script_leaves_a_value_which_qupath_would_print(study: Study) -> None:
    assert {
        name: outcome.get("returned") for name, outcome in study.outcomes.items() if outcome.get("returned")
    } == {}


def test_what_was_drawn_is_exported_and_nothing_else(study: Study) -> None:
    file = study.folder / "outlines" / "Case 1.tiff.geojson"
    assert study.said("nothing drawn") == "Case: 1.tiff: no outline with a class"
    said = "Case: 1.tiff: exported: 1; left out: 1 without a class"
    assert study.said("export") == f"{said}, 0 of a result: {file}"
    assert study.said("export beside the map") == f"{said}, {len(study.polygons)} of a result: {file}"
    left = f"{file} is of an earlier export: delete it if it no longer holds"
    assert study.said("export nothing any more") == f"Case: 1.tiff: no outline with a class; {left}"
    assert check_file(file, coverage=False).ok
    (shape,) = read_annotations(file).shapes
    assert (shape.class_name, shape.object_id) == ("Tumour", OUTLINED)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_train_could_not_take_is_not_exported(study: Study) -> None:
    assert study.said("export from a server") == (
        "NOT EXPORTED: On a server: is not read from one file on this computer, which `train` needs"
    )
    assert study.said("export a twin") == (
        "NOT EXPORTED: Twin: 2 images of the project have this name: rename them"
    )


def test_a_file_that_cannot_be_written_is_one_line(study: Study) -> None:
    said = study.said("export where a file is")
    blocked = study.folder / "blocked" / "Case 1.tiff.geojson"
    assert said.startswith(f"NOT EXPORTED: Case: 1.tiff: {blocked} cannot be written (")


def test_a_result_is_imported_once(study: Study) -> None:
    polygons = study.polygons
    assert len(polygons) > 3
    added = f"Case: 1.tiff: added: {len(polygons)}; there before: 0: {study.result / 'slide.geojson.gz'}"
    assert study.said("import without colours") == added
    none = f"Case: 1.tiff: added: 0; there before: {len(polygons)}: {study.result / 'slide.geojson.gz'}"
    assert study.said("import") == none
    assert study.outcomes["import"]["objects"] == [OUTLINED, UNCLASSIFIED, *polygons]


def test_a_corrected_polygon_stays_as_it_is_and_a_deleted_one_comes_back(study: Study) -> None:
    outcome = study.outcomes["import after a correction"]
    where = outcome["objects"].index(study.polygons[0])
    assert outcome["geometries"][where]["coordinates"] == BESIDE
    assert len(outcome["objects"]) == len(study.polygons) + 2
    count = len(study.polygons)
    assert study.said("import after a removal") == (
        f"Case: 1.tiff: added: 1; there before: {count - 1}: {study.result / 'slide.geojson.gz'}"
    )


def test_classes_get_the_colours_of_the_result(study: Study) -> None:
    stroma, tumour = (kind.color for kind in SCHEMA.classes[1:])
    assert study.outcomes["import without colours"]["colours"]["Stroma"] == [150, 200, 150]
    assert study.outcomes["import"]["colours"]["Stroma"] == list(stroma)
    assert study.outcomes["import"]["colours"]["Tumour"] == list(tumour)


def test_polygons_of_another_result_are_not_mixed_in_unasked(study: Study) -> None:
    said, before = study.said("import beside others"), study.outcomes["send again"]["objects"]
    assert said.startswith("NOT IMPORTED: Case: 1.tiff: polygons of another result are there (1): send ")
    assert study.outcomes["import beside others"]["objects"] == [*before, OF_ANOTHER]
    assert study.said("import beside others, wanted").endswith(
        f"added: 0; there before: {len(study.polygons)}: {study.result / 'slide.geojson.gz'}"
    )


def test_a_result_of_either_ngff_is_known_by_its_slide_and_size(study: Study) -> None:
    older = study.folder / "results-04" / "Case_ 1"
    assert (older / "slide.ome.zarr" / "labels" / "tissue" / ".zattrs").is_file()
    assert study.said("import of NGFF 0.4") == (
        f"Case: 1.tiff: added: 0; there before: {len(study.polygons)}: {older / 'slide.geojson.gz'}"
    )
    assert study.said("import another size") == (
        f"NOT IMPORTED: Of another size: {study.result} is of an image of 700 x 500 px"
    )
    assert study.said("import nothing") == (
        f"NOT IMPORTED: Not segmented: {study.folder / 'results'} has no result of it: run predict.groovy"
    )
    assert study.said("import from no folder") == (
        f"NOT IMPORTED: Case: 1.tiff: {study.folder / 'no such'} has no result of it: run predict.groovy"
    )


def test_an_unfinished_result_is_not_imported(study: Study) -> None:
    unfinished = study.folder / "unfinished" / "Case_ 1"
    assert study.said("import the unfinished") == (
        f"NOT IMPORTED: Case: 1.tiff: {unfinished} is not finished: run predict.groovy, which continues it"
    )


def test_checked_objects_are_sent_and_sent_again(study: Study) -> None:
    file, first = study.folder / "corrected" / "Case 1.tiff.geojson", study.polygons[0]
    assert study.said("send nothing") == (
        "NOT SENT: Case: 1.tiff: select the objects that you have checked, each with its class"
    )
    sent = "Case: 1.tiff: sent: 1; sent before:"
    assert study.said("send") == f"{sent} 0; left out: 1 without a class: {file}"
    assert study.said("send another") == f"{sent} 1; left out: 0 without a class: {file}"
    assert study.said("send again") == f"{sent} 1; left out: 0 without a class: {file}"
    assert check_file(file, coverage=False).ok
    shapes = {shape.object_id: shape for shape in read_annotations(file).shapes}
    assert list(shapes) == [OUTLINED, first]
    assert shapes[first].geometry.bounds == (10, 0, 20, 10)
    colours = {kind.name: kind.color for kind in SCHEMA.classes}
    assert [shape.color for shape in shapes.values()] == [
        colours[shape.class_name or ""] for shape in shapes.values()
    ]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_was_sent_before_and_cannot_be_read_is_kept(study: Study) -> None:
    file = study.folder / "alone" / "Case 1.tiff.geojson"
    said = study.said("send beside a lone feature")
    assert said.startswith(
        f"NOT SENT: Case: 1.tiff: {file} cannot be written, or what was sent before cannot "
    )
    assert f"{file} holds no features: move it away" in said
    assert json.loads(file.read_text()) == feature()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_train_takes_both_files_for_the_image(study: Study) -> None:
    project = study.folder / "project.qpproj"
    paired = read_pairs([project, study.folder / "outlines", project, study.folder / "corrected"])
    assert [(pair.slide.name, pair.annotations.parent.name) for pair in paired.pairs] == [
        ("tissue 1.tiff", "outlines"),
        ("tissue 1.tiff", "corrected"),
    ]
    assert all("without outlines" in remark for remark in paired.remarks)


def test_predict_is_called_in_the_projects_folder(study: Study) -> None:
    called = study.outcomes["called"]["printed"]
    assert called[: len(COMMAND) + 1] == [str(study.folder), *COMMAND]
    printed = study.outcomes["predict"]["printed"]
    assert printed[0].endswith(f"my programs/wsi seg {' '.join(COMMAND)}")
    assert printed[1:] == ["reading ...", "Case: 1.tiff: segmented"]


def test_what_predict_says_is_shown_and_said_once_more_at_the_end(study: Study) -> None:
    fault = "p: On a server: is read by https:, and not from a file"
    assert study.outcomes["predict from a server"]["printed"][1:] == [
        "reading ...",
        f"wsi-seg: {fault}",
        f"On a server: PROBLEM: wsi-seg ended with exit code 1: {fault}",
    ]


def test_a_program_that_is_not_there_is_one_line(study: Study) -> None:
    said = study.outcomes["predict without a program"]["printed"][-1]
    assert said.startswith('NOT SEGMENTED: Case: 1.tiff: Cannot run program "/nowhere/wsi seg"')
    assert said.endswith("correct `program` at the top of this script")


def test_the_page_names_every_call_to_qupath_that_the_scripts_make() -> None:
    page = (ROOT / "docs" / "qupath.md").read_text(encoding="utf-8")
    table = page[page.index("| calls |") :].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z]\w+)`", table))
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.groovy"))
    of_java = {"getFileName", "getInputStream", "getMessage", "getName", "getOutputStream", "getParent"}
    of_java |= {"getScheme", "getText", "setText"}
    called = set(re.findall(r"\b((?:get|set|is|has|read|add|fire|export|select)[A-Z]\w+)(?=\(| \{)", scripts))
    own = set(re.findall(r"def (\w+) = \{", scripts))
    assert called - of_java - own - {"isEmpty", "isFile"} == named

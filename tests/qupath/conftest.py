"""A study in QuPath: a project, its results, and what the scripts come to in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.qupath_features import BESIDE, collection, feature
from helpers.qupath_projects import image, server, uri_of, write_project
from helpers.qupath_scripts import (
    COMMAND,
    OF_ANOTHER,
    OUTLINED,
    SCRIPTS,
    UNCLASSIFIED,
    Json,
    Steps,
    Study,
    groovy,
)
from typer.testing import CliRunner

from wsi_seg.cli.commands import app

SAYS = """#!/bin/sh
printf '%s\\n' "$PWD" "$@" >> "$(dirname "$0")/called"
echo 'reading ...'
case "$*" in
    *'--image 2 '*) echo 'wsi-seg: p: On a server: is read by https:, and not from a file' >&2; exit 1;;
esac
"""


def _project(folder: Path, slide: Path) -> list[Json]:
    """Write a project; return its images as the stand-ins have them."""
    shutil.copy(slide, folder / "tissue 1.tiff")
    write_tiff(folder / "other.tiff", tissue_rgb(50, 70))
    here, other = uri_of(folder / "tissue 1.tiff"), uri_of(folder / "other.tiff")
    images: list[tuple[str, str, tuple[int, int]]] = [
        ("Case: 1.tiff", here, (700, 500)),
        ("On a server", "https://example.org/a.svs", (700, 500)),
        ("Twin", other, (70, 50)),
        ("twin?", other, (70, 50)),
        ("Of another size", here, (70, 50)),
        ("Not segmented", other, (70, 50)),
    ]
    write_project(
        folder / "project.qpproj",
        *(image(name, server(uri, size, 2.0), number) for number, (name, uri, size) in enumerate(images, 1)),
    )
    return [
        {"number": number, "name": name, "uris": [uri], "size": size}
        for number, (name, uri, size) in enumerate(images, 1)
    ]


def _predict(*arguments: str) -> None:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr


def _unfinished(result: Path, copy: Path) -> None:
    shutil.copytree(result, copy)
    record = copy / ".wsi-seg" / "record.json"
    record.write_text(record.read_text().replace('"finished"', '"exporting"'))


def _steps(folder: Path, work: Path, images: list[Json], first: str) -> Steps:
    """What a user does, one after another; `first` is a polygon of the result."""
    own = {key: value for key, value in feature().items() if key != "id"}
    unclassified = {"objectType": "annotation"}
    drawn, another = work / "drawn.geojson", work / "another.geojson"
    drawn.write_text(
        json.dumps(collection(feature(), own | {"id": UNCLASSIFIED, "properties": unclassified}))
    )
    another.write_text(
        json.dumps(collection(feature(measurements={"Label area um^2": 9}) | {"id": OF_ANOTHER}))
    )
    program = work / "my programs" / "wsi seg"
    program.parent.mkdir()
    program.write_text(SAYS)
    program.chmod(0o755)
    (folder / "blocked").touch()
    (folder / "alone").mkdir()
    (folder / "alone" / "Case 1.tiff.geojson").write_text(json.dumps(feature()))
    polygon = {"type": "Polygon", "coordinates": BESIDE}

    steps = Steps(work, folder / "project.qpproj", images)
    for script in SCRIPTS.glob("*.groovy"):
        steps.add(f"nothing open: {script.stem}", script.stem, None)
    steps.add("nothing drawn", "export_outlines")
    steps.add("export", "export_outlines", draw=str(drawn))
    steps.add("import without colours", "import_results", settings={"colours": "false"})
    steps.add("import", "import_results")
    steps.add("import after a correction", "import_results", move=[first], to=polygon)
    steps.add("import after a removal", "import_results", remove=[first])
    steps.add("export beside the map", "export_outlines")
    steps.add("export nothing any more", "export_outlines", remove=[OUTLINED, UNCLASSIFIED])
    steps.add(
        "export where a file is", "export_outlines", settings={"outlines": "'blocked'"}, draw=str(drawn)
    )
    steps.add("export from a server", "export_outlines", 2)
    steps.add("export a twin", "export_outlines", 3)
    steps.add("send nothing", "send_corrected", select=[UNCLASSIFIED])
    steps.add("send", "send_corrected", select=[first, UNCLASSIFIED])
    steps.add("send another", "send_corrected", select=[OUTLINED])
    steps.add("send again", "send_corrected", select=[first], move=[first], to=polygon)
    steps.add(
        "send beside a lone feature", "send_corrected", settings={"corrected": "'alone'"}, select=[first]
    )
    steps.add("import beside others", "import_results", draw=str(another))
    steps.add("import beside others, wanted", "import_results", settings={"besideOthers": "true"})
    steps.add(
        "import of NGFF 0.4", "import_results", settings={"results": "'results-04'"}, remove=[OF_ANOTHER]
    )
    steps.add("import another size", "import_results", 5)
    steps.add("import nothing", "import_results", 6)
    steps.add("import the unfinished", "import_results", settings={"results": "'unfinished'"})
    steps.add("import from no folder", "import_results", settings={"results": "'no such'"})
    settings = {"program": f"['{program}']", "model": f"'{COMMAND[7]}'", "options": "['--min-area', '2000']"}
    steps.add("predict", "predict", settings=settings)
    steps.add("predict from a server", "predict", 2, settings=settings)
    steps.add("predict without a program", "predict", settings={"program": "['/nowhere/wsi seg']"})
    return steps


@pytest.fixture(scope="session")
def study(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    groovy()
    folder, work = tmp_path_factory.mktemp("a study"), tmp_path_factory.mktemp("scripts")
    images = _project(folder, slide_path)
    (folder / "my models").mkdir()
    shutil.copy(model_path, folder / "my models" / "m.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _predict(*COMMAND)
        _predict(*COMMAND[:5], "results-04", *COMMAND[6:], "--ngff", "0.4")
    _unfinished(folder / "results" / "Case_ 1", folder / "unfinished" / "Case_ 1")
    study = Study(folder, {})
    study.outcomes.update(_steps(folder, work, images, study.polygons[0]).run())
    study.outcomes["called"] = {"printed": (work / "my programs" / "called").read_text().splitlines()}
    return study

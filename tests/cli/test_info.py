"""`wsi-seg info` of QuPath projects."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.qupath_projects import image, server, uri_of, write_project
from typer.testing import CliRunner

from wsi_seg.cli.app import app


def test_a_projects_slides_are_described_and_others_named(slide_path: Path, tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project.qpproj",
        image("Here", server(uri_of(slide_path), (700, 500), 2.0), 1),
        image("Gone", server("file:/nowhere/gone.svs"), 2),
        image("Exchanged", server(uri_of(slide_path), (70, 50)), 3),
    )
    ended = CliRunner().invoke(app, ["info", str(tmp_path), "--json"], catch_exceptions=False)
    assert ended.exit_code == 1
    assert [(one["slide"], one["width"]) for one in json.loads(ended.stdout)] == [(str(slide_path), 700)]
    gone, exchanged = ended.stderr.splitlines()
    assert gone.startswith(f"wsi-seg: {project}: 'Gone': /nowhere/gone.svs: no such file")
    assert exchanged.startswith(f"wsi-seg: {project}: 'Exchanged': has 70 x 50 px in QuPath, but ")

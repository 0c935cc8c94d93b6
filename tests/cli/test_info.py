"""`wsi-seg info` of slides, of QuPath projects, and of files that hold several images or what is no level."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tifffile
from helpers.drawn_tiffs import HEIGHT, PLANES, WIDTH, write
from helpers.drawn_tiffs import RGB as DRAWN
from helpers.program import Program
from helpers.qupath_projects import image, server, uri_of, write_project
from helpers.zarrs import RGB, write_attributes, write_zarr
from typer.testing import CliRunner

from wsi_seg.cli.commands import app


def test_info_as_text_and_as_json(run: Program, slide_path: Path) -> None:
    ended = run("info", slide_path)
    assert ended.code == 0
    assert "700 x 500 px" in ended.out
    described = json.loads(run("info", slide_path, "--json").out)[0]
    assert described["mpp"] == pytest.approx([2.0, 2.0])
    assert described["mpp_source"] == "its resolution tags"
    assert described["read_with"].startswith("OpenSlide ")
    assert described["levels"][0]["tile"] == [128, 128]
    assert json.loads(run("info", slide_path.parent, "--json").out) == [described]
    (slide_path.parent / "empty").mkdir()
    line = run("info", slide_path.parent / "empty").line
    assert (
        "no slide in this folder: name slide files, or a folder that holds some; subfolders are not searched"
        in line
    )


def test_info_says_how_a_slide_is_read_and_what_is_wrong_with_its_resolution(
    run: Program, tmp_path: Path
) -> None:
    dots: dict[str, Any] = {"resolution": (300, 300), "resolutionunit": "INCH"}
    ended = run("info", write(tmp_path / "planes.tiff", PLANES, metadata={"axes": "CYX"}, **dots))
    assert ended.code == 0
    assert re.search(
        r"^  format      generic-tiff, read with tifffile .*: RGB in planes, 8 bits; OpenSlide would show",
        ended.out,
        re.MULTILINE,
    )
    assert (
        "  resolution  not usable: states 84.67 um per px in its resolution tags: that is 300 dpi"
        in ended.out
    )


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


def test_the_images_of_a_zarr_are_listed(tmp_path: Path) -> None:
    root = tmp_path / "s.zarr"
    write_attributes(root, {"bioformats2raw.layout": 3}, "0.4")
    write_zarr(root / "0", RGB[:60, :50], ngff="0.4")
    write_zarr(root / "1", RGB, ngff="0.4")
    done = CliRunner().invoke(app, ["info", str(root)])
    assert "image 1 of 2, RGB" in done.stdout
    assert "image 0     50 x 60 px, '0': --series 0\n" in done.stdout
    assert "image 1     420 x 300 px, '1', this one\n" in done.stdout
    assert "2 x 2 um per px (0.50 mm2), from its OME-Zarr metadata\n" in done.stdout


def test_what_is_no_level_is_named_with_the_reason(tmp_path: Path) -> None:
    """A picture of another shape in a SubIFD, such as a label; a level in strips; one that grows again."""
    tiles: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate"}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        tiff.write(DRAWN, subifds=5, metadata={"axes": "YXS"}, **tiles)
        tiff.write(DRAWN[::2, ::2], subfiletype=1, **tiles)
        tiff.write(DRAWN[:90, :100], subfiletype=1, **tiles)
        tiff.write(DRAWN[::4, ::4], subfiletype=1, **{**tiles, "tile": None})
        tiff.write(DRAWN[:250, :350], subfiletype=1, **tiles)
        tiff.write(DRAWN[::4, ::4], subfiletype=1, **tiles)
    done = CliRunner().invoke(app, ["info", str(tmp_path / "a.ome.tif")])
    assert f"level 0     {WIDTH} x {HEIGHT} px" in done.stdout
    assert "level 2     105 x 75 px, 1/4" in done.stdout
    assert [line for line in done.stdout.splitlines() if "left out" in line] == [
        "  left out    100 x 90 px: its shape is not that of level 0",
        "  left out    105 x 75 px: it is stored in another way than level 0",
        "  left out    350 x 250 px: it is larger than the level before it",
    ]
    described = json.loads(CliRunner().invoke(app, ["info", str(tmp_path / "a.ome.tif"), "--json"]).stdout)
    assert described[0]["images"][0]["left_out"][0] == {
        "width": 100,
        "height": 90,
        "why": "its shape is not that of level 0",
    }

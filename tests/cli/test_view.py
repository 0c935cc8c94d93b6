"""`wsi-seg view` from its command line to its end, in this process and as a program."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.packages import broken_package
from helpers.program import Program

from wsi_seg.view import openseadragon, serving
from wsi_seg.view.openseadragon import script_file


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(capsys, monkeypatch, before=("view",))


@pytest.fixture(autouse=True)
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """See that the page's script counts as there."""
    if script_file() is None:
        folder = tmp_path / "openseadragon"
        folder.mkdir()
        (folder / "VERSION").write_text(openseadragon.VERSION)
        (folder / openseadragon.SCRIPT).touch()
        monkeypatch.setattr(openseadragon, "FOLDER", folder)


def test_a_port_that_is_taken_is_a_line(program: Program, slide_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = program(slide_path, "--port", port, "--no-open")
    assert ended.code == 2
    assert ended.line == f"wsi-seg: --port {port}: is taken: name another, or none"


def test_without_its_script_the_page_is_not_begun(
    program: Program, slide_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(openseadragon, "FOLDER", tmp_path / "none")
    ended = program(slide_path)
    assert ended.code == 2
    assert ended.line.endswith("is not there: fetch it with `python -m wsi_seg.view.openseadragon`")


def test_what_is_not_there_is_a_line(program: Program, tmp_path: Path) -> None:
    ended = program(tmp_path / "none.svs")
    assert (ended.code, ended.out) == (1, "")
    assert ended.line.startswith(f"wsi-seg: {tmp_path / 'none.svs'}: no such file")


def test_a_browser_is_opened_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def opens(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", opens)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not serving.open_browser("http://here/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert serving.open_browser("http://here/")
    assert opened == ["http://here/"]


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    if script_file() is None:
        pytest.skip("OpenSeadragon is not here: python wsi_seg/view/openseadragon.py")
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(300, 300))
    command = [sys.executable, "-m", "wsi_seg", "view", str(slide), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().strip()
        with urlopen(f"{address}s/0/slide/0/0_0.jpg") as answer:
            assert answer.read(2) == b"\xff\xd8"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == "wsi-seg: interrupted: the page has ended\n"


def test_a_package_that_is_missing_names_the_extra(
    program: Program, slide_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken_package("uvicorn", "raise ImportError('no such library')", tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("wsi_seg.view")]:
        monkeypatch.delitem(sys.modules, name)
    ended = program(slide_path)
    assert ended.code == 2
    assert "`wsi-seg view` needs uvicorn, which cannot be imported" in ended.line

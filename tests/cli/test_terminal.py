from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from conftest import write_model

from wsi_seg.cli import models
from wsi_seg.cli.display import BarProgress, PlainProgress, PlainTraining, shown
from wsi_seg.cli.main import main
from wsi_seg.cli.terminal import say, say_lines

EVIL = "a\x1b[2J\nwsi-seg: all is well\u202e"
SHOWN = "a\\x1b[2J\\x0awsi-seg: all is well\\u202e"


def test_a_name_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    say_lines("one\ntwo\x1b")
    say(EVIL, err=True)
    PlainProgress().say(EVIL)
    PlainTraining().say(EVIL)
    assert capsys.readouterr() == (f"{SHOWN}\none\ntwo\\x1b\n", f"{SHOWN}\n" * 3)


def test_a_terminal_of_few_letters_shows_the_others_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    say("Größe")
    assert raw.getvalue() == b"Gr\\xf6\\xdfe\n"


def test_bars_take_a_name_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with shown(1, quiet=False) as progress:
        assert isinstance(progress, BarProgress)
        progress.begin(f"[/red][bold]{EVIL}", 3, 0, 1.0)
        progress.say(f"[/blue]{EVIL}")
        progress._bars.refresh()
        progress.end()
    said = screen.getvalue()
    assert f"[/red][bold]{SHOWN}" in said
    assert f"[/blue]{SHOWN}" in said
    assert "\x1b[2J" not in said


def test_what_a_model_says_of_itself_is_shown_and_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    models._print(models._plain(EVIL), models._indented(models._facts({EVIL: EVIL})))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.count("\\x1b[2J") == 3


def test_a_name_that_is_not_utf_8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.svs")
    monkeypatch.setattr(sys, "argv", ["wsi-seg", "info", given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"wsi-seg: {tmp_path}/caf\\xe9.svs: is not UTF-8: rename the file or the folder\n"
    )


def test_a_slide_in_a_folder_whose_name_is_not_utf_8_fails_by_name_and_the_next_is_done(
    tmp_path: Path, slide_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    os.link(slide_path, os.fsencode(folder) + b"/caf\xe9.tiff")
    (folder / "=sound.tiff").symlink_to(slide_path)
    model = write_model(tmp_path / "model.safetensors")
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["wsi-seg", "predict", str(folder), "-o", str(out), "--model", str(model)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    says = capsys.readouterr().err
    assert "caf\\xe9.tiff: cannot be read (its name or a folder's is not UTF-8: rename it)" in says
    assert "caf\\\\xe9.tiff" in (out / "batch.json").read_text()
    assert (out / "=sound" / "summary.csv").read_text().splitlines()[1].startswith(str(folder))

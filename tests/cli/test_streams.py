"""Output that nobody takes: told in a line, with an exit code, and no end to the work."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff

from wsi_seg.cli.main import main
from wsi_seg.predict import session

CLOSED = """
import os
os.close(2)
from wsi_seg.cli.streams import forgiving
with forgiving():
    file = open(os.devnull)
    print(file.fileno() > 2)
"""


def ended(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["wsi-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    return int(end.value.code or 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_told_and_the_result_is_whole(
    slide_path: Path,
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert ended("predict", slide_path, "-o", tmp_path, "--model", model_path, "--workers", 1) == 1
    assert (tmp_path / "tissue" / "summary.json").exists()
    assert capsys.readouterr().err.splitlines()[-1] == (
        "wsi-seg: standard output cannot be written (No space left on device): free space there, or print "
        "elsewhere"
    )


def test_a_closed_pipe_is_told(
    slide_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert ended("info", slide_path) == 1
    assert capsys.readouterr().err == "wsi-seg: standard output was closed before everything was printed\n"


def test_no_file_takes_the_place_of_a_closed_standard_error() -> None:
    """Libraries print there."""
    done = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_a_shortage_is_one_line_for_a_slide_and_for_each_of_a_batch(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    slides = [write_tiff(tmp_path / f"{n}.tiff", tissue_rgb(200, 200, seed=n)) for n in range(2)]
    monkeypatch.setattr(session, "predict_on", short)
    options = ["-o", tmp_path / "out", "--model", model_path]
    assert ended("predict", slides[0], *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wsi-seg: too few file handles: allow more, for example with `ulimit -n 4096`")
    assert ended("predict", *slides, *options) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1:3] for line in lines] == [[str(s), "too few file handles"] for s in slides]
    assert not list((tmp_path / "out").glob("*traceback*"))

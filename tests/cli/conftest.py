"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.program import Program


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(capsys, monkeypatch)


@pytest.fixture
def predict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model_path: Path, tmp_path: Path
) -> Program:
    """`wsi-seg predict` into the folder `results`, with the untrained model."""
    into = ("--model", model_path, "-o", tmp_path / "results", "--workers", 1)
    return Program(capsys, monkeypatch, ("predict",), into)

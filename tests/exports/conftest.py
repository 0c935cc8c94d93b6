"""What the tests of exports share."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsi_seg as ws


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory, model_path: Path, slide_path: Path) -> Path:
    """A finished result with confidence, of a slide that lies where it lay; not to be changed."""
    out = tmp_path_factory.mktemp("exported") / "tissue"
    ws.segment(slide_path, model_path, out=out, confidence=True, device="cpu", workers=1, min_area_um2=100)
    return out

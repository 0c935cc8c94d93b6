"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real slides, checkpoints and annotations; tests that need it skip where it is absent."""
    named = os.environ.get("WSI_SEG_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data absent: set WSI_SEG_DATA to the folder that holds slides/, espnet/, ...")
    return folder

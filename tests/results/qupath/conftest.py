"""What the tests of QuPath files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.qupath_features import Checker


@pytest.fixture
def checked(tmp_path: Path) -> Checker:
    return Checker(tmp_path)

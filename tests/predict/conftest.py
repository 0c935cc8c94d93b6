"""What the tests of `predict` share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.predictions import settings

from wsi_seg.predict.predict_slide import predict_slide


@pytest.fixture(scope="module")
def result(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished result of the small slide; tests leave it as it was."""
    out = tmp_path_factory.mktemp("out") / "tissue"
    predict_slide(slide_path, out, settings(model_path))
    return out

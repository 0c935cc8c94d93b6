"""A name or a path means one model file, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wsi_seg.errors import ModelError
from wsi_seg.models import lookup
from wsi_seg.models.lookup import resolve_model

if TYPE_CHECKING:
    from pathlib import Path


def test_models_are_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, elsewhere = tmp_path / "weights", tmp_path / "elsewhere"
    for folder in (weights, elsewhere):
        folder.mkdir()
    model_file = weights / "model.safetensors"
    model_file.write_bytes(b"looked for, not read")
    monkeypatch.setattr(lookup, "WEIGHTS_FOLDER", weights)
    monkeypatch.chdir(elsewhere)
    assert resolve_model("model") == model_file
    assert resolve_model(str(model_file)) == model_file
    with pytest.raises(ModelError, match=r"^breast: no such model: .*built-in model \(model\)$"):
        resolve_model("breast")
    with pytest.raises(ModelError, match="is a folder"):
        resolve_model(str(elsewhere))


def test_the_folder_of_a_training_names_its_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(
        ModelError, match=r"is the folder of a training: give its model, .*model\.safetensors$"
    ):
        resolve_model(str(tmp_path))

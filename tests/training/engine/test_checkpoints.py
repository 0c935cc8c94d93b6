"""Checkpoint files: whole or absent, and never unpickled."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from wsi_seg.errors import ModelError, OutputError
from wsi_seg.training.engine.checkpoints import SafeCheckpoints

CONTENT: dict[str, Any] = {"weights": torch.arange(1000.0), "step": 7, "rows": [{"loss": None, "name": "a"}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "last.ckpt"
    SafeCheckpoints().save_checkpoint(CONTENT, path)
    return path


def test_what_is_written_comes_back(path: Path) -> None:
    found = SafeCheckpoints().load_checkpoint(path)
    assert torch.equal(found.pop("weights"), CONTENT["weights"])
    assert found == {key: value for key, value in CONTENT.items() if key != "weights"}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    SafeCheckpoints().remove_checkpoint(path)
    SafeCheckpoints().remove_checkpoint(path)
    assert not path.exists()


def test_a_failed_write_leaves_the_one_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match=r"No space left on device.*free space there"):
            SafeCheckpoints().save_checkpoint({"step": 8}, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def read_or_refused(path: Path) -> torch.Tensor | None:
    """The weights, unless the file is refused, in one line."""
    try:
        weights: torch.Tensor = SafeCheckpoints().load_checkpoint(path)["weights"]
    except ModelError as error:
        assert str(error) == f"{path}: damaged checkpoint: start the training again with --overwrite"  # noqa: PT017
        return None
    return weights


@pytest.mark.parametrize("seed", range(6))
def test_a_file_cut_short_is_refused(path: Path, seed: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.Random(seed).randrange(len(content))])
    assert read_or_refused(path) is None


@pytest.mark.parametrize("seed", range(8))
def test_no_flipped_bit_changes_a_weight(path: Path, seed: int) -> None:
    """One in what nothing reads, such as padding, may pass."""
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(2):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    weights = read_or_refused(path)
    assert weights is None or torch.equal(weights, CONTENT["weights"])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="damaged checkpoint"):
        SafeCheckpoints().load_checkpoint(tmp_path / "none.ckpt")


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_code_in_a_checkpoint_is_not_run(
    write: Callable[[object, BinaryIO], object], path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "taken over"
    with path.open("wb") as file:
        write({"step": Malicious(target)}, file)
    with pytest.raises(ModelError, match="damaged checkpoint"):
        SafeCheckpoints().load_checkpoint(path)
    assert not target.exists()
    with path.open("rb") as file:
        torch.load(file, weights_only=False) if write is torch.save else pickle.load(file)
    assert target.exists(), "the attack would have worked"

"""What ends a training is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.trainings import Pair, requested, write_outlined

from wsi_seg.data.annotated_slides import _opened
from wsi_seg.errors import DeviceError, SlideError, TrainingError
from wsi_seg.progress import TrainingProgress
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.train_model import train


def test_a_loss_that_is_no_number_ends_it(pair: Pair, tmp_path: Path) -> None:
    request = requested(pair, tmp_path, "optimiser.learning_rate=1e30", "optimiser.clip_norm=null")
    with pytest.raises(
        TrainingError, match=r"the loss is nan by step \d+: start again .*learning_rate=2\.5e\+29"
    ):
        train(request)


def test_too_little_memory_on_the_device_is_one_line(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SegmentationModule, "training_step", full)
    with pytest.raises(DeviceError, match=r"cpu: out of memory: give a smaller --set training\.batch_size"):
        train(requested(pair, tmp_path))


class Vanishing(TrainingProgress):
    """Removes a slide in mid-training."""

    def __init__(self, slide: Path) -> None:
        self.slide = slide

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        self.slide.unlink(missing_ok=True)
        _opened.cache_clear()


def test_a_slide_that_vanishes_is_one_line(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path)
    request = requested(pair, tmp_path / "out", "data.cache_mb=0")
    with pytest.raises(SlideError, match=r"slide\.tiff: no such file") as error:
        train(request, Vanishing(pair[0]))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_slide_that_vanishes_for_a_reading_process_is_one_line(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, size=(4096, 3072))  # more than OpenSlide keeps in memory
    request = requested(
        pair, tmp_path / "out", "data.cache_mb=0", "training.workers=1", "training.epoch_steps=200"
    )

    class Replacing(TrainingProgress):
        """A slide that cannot be read any more, as on a drive that went away."""

        def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
            with pair[0].open("r+b") as file:
                file.truncate(100)

    with pytest.raises(SlideError) as error:
        train(request, Replacing())
    assert "\n" not in str(error.value)
    assert "Traceback" not in str(error.value)
    assert "slide.tiff" in str(error.value)

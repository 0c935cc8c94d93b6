"""Run a network in one way on one device, on images of noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from wsi_seg.inference.network.forms import DTYPES
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.cost import RGB
from wsi_seg.paper.bench.peak_memory import running_out
from wsi_seg.paper.bench.timing import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsi_seg.inference.network.choice import Precision
    from wsi_seg.models.bundle import ModelBundle

Form = Literal["plain", "predict"]

PRECISIONS: dict[str, Precision] = {name: name for name in DTYPES}
FORMS: dict[str, Form] = {"plain": "plain", "predict": "predict"}


@dataclass(frozen=True)
class Setting:
    """Where and how a network runs.

    Attributes
    ----------
    width, height : int
        Of the image, in pixels.
    device : str
        As PyTorch writes it.
    precision : Precision
        Of weights and maps.
    form : {"plain", "predict"}
        "plain": the network alone, in PyTorch's eager mode, from normalised images on the device to logits
        on the device. "predict": as `wsi-seg predict` runs it, from 8-bit pixels in main memory to class ids
        in main memory.
    """

    width: int
    height: int
    device: str
    precision: Precision
    form: Form

    def __str__(self) -> str:
        form = "network alone" if self.form == "plain" else "as predict runs it"
        return f"{self.width} x {self.height}, {self.device}, {self.precision}, {form}"

    def as_arguments(self) -> list[str]:
        """Return the arguments for `from_arguments`."""
        return [str(self.width), str(self.height), self.device, self.precision, self.form]

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Setting:
        """Make a setting from the result of `as_arguments`."""
        width, height, device, precision, form = arguments
        return cls(int(width), int(height), device, PRECISIONS[precision], FORMS[form])


class Runner:
    """A model ready to run at a setting.

    Parameters
    ----------
    bundle : ModelBundle
        Its network stays unchanged.
    setting : Setting

    Attributes
    ----------
    remark : str
        The form that `predict` chose; empty for the network alone.
    """

    def __init__(self, bundle: ModelBundle, setting: Setting) -> None:
        self.setting = setting
        self.device = torch.device(setting.device)
        self._dtype = DTYPES[setting.precision]
        if setting.form == "plain":
            self._network = copy.deepcopy(bundle.network).to(self.device, self._dtype).eval()
            self.remark = ""
        else:
            self._segmenter = Segmenter(bundle, self.device, setting.precision)
            choice = self._segmenter.choice
            self.remark = f"runs {choice.form} ({choice.why})"

    def passes(self, batch: int) -> Callable[[], None]:
        """Return a function that runs one pass over a batch, and waits until the device has finished.

        Raises
        ------
        OutOfMemoryError
            Here or in a pass, if there is too little memory.
        """
        return self._plain_passes(batch) if self.setting.form == "plain" else self._predict_passes(batch)

    def _plain_passes(self, batch: int) -> Callable[[], None]:
        sides = self.setting.height, self.setting.width
        with running_out():
            images = torch.randn(batch, RGB, *sides, device=self.device, dtype=self._dtype)

        @torch.inference_mode()
        def run() -> None:
            with running_out():
                self._network(images)
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)

        return run

    def _predict_passes(self, batch: int) -> Callable[[], None]:
        sides = self.setting.height, self.setting.width
        images = np.random.default_rng(0).integers(0, 256, (batch, *sides, RGB), dtype=np.uint8)

        def run() -> None:
            with running_out():
                self._segmenter(images)
            if (
                self._segmenter.most is not None
            ):  # it continued with half as many at a time, which is another batch
                raise OutOfMemoryError

        return run

"""An ONNX network in a model file: the bytes of the ONNX model, and its properties."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsi_seg.errors import ModelError
from wsi_seg.models.network import Network
from wsi_seg.models.onnx.onnx_config import OnnxConfig
from wsi_seg.models.onnx.onnx_session import Session

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and from 1, whose logits would be infinite."""


class OnnxNet(Network):
    """A network that ONNX Runtime runs.

    Called directly, it runs on the CPU. To segment slides, `wsi_seg.inference.network.onnx_form` opens it
    again.

    Attributes
    ----------
    graph : uint8 Tensor, shape (config.size,)
        The ONNX model.
    """

    config_type = OnnxConfig
    config: OnnxConfig
    graph: Tensor

    def __init__(self, config: OnnxConfig) -> None:
        super().__init__(config)
        self.register_buffer("graph", torch.empty(config.size, dtype=torch.uint8))
        self._opening = threading.Lock()
        self._session: Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opening": None, "_session": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._opening = threading.Lock()

    def open(self, device: torch.device, threads: int) -> Session:
        """Open it on a device: see `Session`."""
        return Session(self.path or Path("network.onnx"), self.graph.cpu().numpy().tobytes(), device, threads)

    def check_sides(self, image: Tensor) -> None:
        """Raise ValueError unless an image's sides fit the network; the message names sides that do."""
        side = self.config.side
        height, width = image.shape[-2:]
        if side is not None and (height, width) != (side, side):
            raise ValueError(f"an image of {width} x {height} pixels does not fit: give {side} x {side}")
        super().check_sides(image)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images, on the CPU.

        Parameters
        ----------
        image : Tensor
            Float, (N, 3, H, W), with sides that the config allows.

        Returns
        -------
        Tensor
            Logits, float32, (N, classes, H / stride, W / stride).

        Raises
        ------
        ValueError
            If the sides do not fit.
        ModelError
            If the network cannot run, or gives NaN or infinite values.
        """
        self.check_sides(image)
        with self._opening:
            if self._session is None:
                self._session = self.open(torch.device("cpu"), torch.get_num_threads())
        return run(self._session, self.config, image.float().cpu())


def run(session: Session, config: OnnxConfig, image: Tensor) -> Tensor:
    """Run a network on normalised images.

    Parameters
    ----------
    session : Session
    config : OnnxConfig
    image : Tensor
        Float32, on the CPU, (N, 3, H, W).

    Returns
    -------
    Tensor
        Logits, float32, (N, classes, H / stride, W / stride).

    Raises
    ------
    ModelError
        If the network cannot run, or gives NaN or infinite values.
    """
    count = config.batch or len(image)
    parts = [_run_part(session, config, image[i : i + count], count) for i in range(0, len(image), count)]
    logits = (parts[0] if len(parts) == 1 else torch.cat(parts))[: len(image)]
    if not torch.isfinite(logits).all():
        raise ModelError(f"{session.path}: gives numbers that are NaN or infinite: export it in float32")
    return logits


def _run_part(session: Session, config: OnnxConfig, image: Tensor, count: int) -> Tensor:
    """Run as many images as the network takes at a time; the last batch is padded."""
    if len(image) < count:
        image = torch.cat([image, image[-1:].expand(count - len(image), -1, -1, -1)])
    found = session.run(given_to(config, image), config.input, config.output)
    return as_logits(np.asarray(found, np.float32), config)


def given_to(config: OnnxConfig, image: Tensor) -> NDArray[Any]:
    """Convert normalised images, float32 (N, 3, H, W), to the axes and the type that a network takes."""
    if config.layout == "NHWC":
        image = image.permute(0, 2, 3, 1)
    given: NDArray[Any] = np.ascontiguousarray(image.numpy())
    if config.element == "uint8":
        given = given.round().clip(0, 255)
    return given.astype(config.element, copy=False)


def as_logits(found: NDArray[np.float32], config: OnnxConfig) -> Tensor:
    """Convert a network's output to logits, (N, classes, h, w), whose softmax is the probability."""
    maps = torch.from_numpy(np.ascontiguousarray(found))
    if config.output_layout == "NHW":
        maps = maps[:, None]
    elif config.output_layout == "NHWC":
        maps = maps.permute(0, 3, 1, 2)
    if config.values == "softmax" and not config.single:
        maps = maps.clamp(min=SMALLEST).log()
    elif config.values != "logits":
        maps = maps.clamp(SMALLEST, 1 - SMALLEST).logit()
    if config.single:  # the logit of the second class; the first one's is 0, so 0 means half and half
        maps = torch.cat([torch.zeros_like(maps), maps], dim=1)
    return maps

"""Find the input and the output of an ONNX network: from its file, or else by trying."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.onnx.onnx_config import OnnxConfig, OutputLayout, Values
from wsi_seg.models.onnx.onnx_network import as_logits, given_to, run
from wsi_seg.models.onnx.onnx_session import Session
from wsi_seg.models.onnx.ports import IDS, MULTIPLES, RGB, axes_of, image_of, map_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.onnx.graph import Graph
    from wsi_seg.models.onnx.ports import Stated

LARGEST_STRIDE = 32
TRIED = (7, 9)
"""Height and width of trial images, in units of the multiple: odd, so that a larger multiple would fail."""

BRIGHTNESS, CONTRAST = 180.0, 45.0
"""Mean and standard deviation of the trial pixels: about those of a stained slide."""

SUM_OFF = 2e-3
"""Largest accepted difference of a pixel's probabilities from a sum of 1, as in float16."""

BATCH_OFF = 1e-2
"""Largest accepted change of an image's logits in a batch with another image, as a share of the largest."""

AXES: dict[OutputLayout, tuple[int, int]] = {"NCHW": (2, 3), "NHWC": (1, 2), "NHW": (1, 2)}
"""The axes of height and width."""


def find_out(path: Path, graph: Graph, spec: InputSpec, classes: int, stated: Stated) -> OnnxConfig:
    """Find the input and the output of a network.

    Parameters
    ----------
    path : Path
        The path that errors name.
    graph : Graph
    spec : InputSpec
        How pixels are normalised: the trial pixels are normalised in the same way.
    classes : int
        The expected number of classes.
    stated : Stated

    Returns
    -------
    OnnxConfig
        The complete config, except for the reach.

    Raises
    ------
    ModelError
        If the network does not map an image to scores for as many classes.
    UsageError
        If a property must be stated, or is stated wrongly.
    """
    image, output = image_of(path, graph, spec), map_of(path, graph, stated.output)
    layout, side = axes_of(path, image, stated.layout)
    config = OnnxConfig(
        classes=classes,
        size=len(graph.data),
        weights=graph.weights,
        opset=graph.opset,
        input=image.name,
        output=output.name,
        layout=layout,
        element=image.element,  # type: ignore[arg-type]  # checked by `image_of`
        sides=MULTIPLES[0],
        side=side,
        batch=image.shape[0],
    )
    trial = _Trial(path, Session(path, graph.data, torch.device("cpu"), torch.get_num_threads()), spec)
    config, found = _first_that_works(trial, config)
    config = _with_output_axes(trial, config, found)
    config = replace(config, values=_values(path, config, found, stated.probabilities))
    return config if config.batch or trial.takes_two(config, found) else replace(config, batch=1)


def pixels_of(noise: Tensor, spec: InputSpec) -> Tensor:
    """Turn noise of mean 0 and variance 1, (N, 3, H, W), into normalised pixels like those of a slide."""
    pixels = (BRIGHTNESS + CONTRAST * noise).clamp(0, 255).round()
    mean, std = (torch.tensor(each).view(1, RGB, 1, 1) for each in (spec.mean, spec.std))
    return (pixels - mean) / (std * spec.scale)


@dataclass(frozen=True)
class _Trial:
    """A network, and images for trying it."""

    path: Path
    session: Session
    spec: InputSpec

    def image(self, config: OnnxConfig, seed: int = 0) -> Tensor:
        """Return a normalised image of a suitable size, (1, 3, height, width)."""
        height, width = _size(config)
        noise = torch.randn(1, RGB, height, width, generator=torch.Generator().manual_seed(seed))
        return pixels_of(noise, self.spec)

    def raw(self, config: OnnxConfig) -> NDArray[np.float32]:
        """Return the raw output for an image; the first one, if batches have a fixed size."""
        given = given_to(config, self.image(config).expand(config.batch or 1, -1, -1, -1))
        found = np.asarray(self.session.run(given, config.input, config.output), np.float32)
        return found[:1]

    def takes_two(self, config: OnnxConfig, found: NDArray[np.float32]) -> bool:
        """Return whether an image after another one in a batch gives the same as what it `found` alone."""
        alone = as_logits(found, config)
        try:
            both = run(self.session, config, torch.cat([self.image(config, 1), self.image(config)]))
        except ModelError:
            return False
        if both.shape != (2, *alone.shape[1:]):
            return False
        return bool((both[1:] - alone).abs().max() <= BATCH_OFF * alone.abs().max())


def _size(config: OnnxConfig) -> tuple[int, int]:
    """Return height and width of the trial images."""
    height, width = (config.side or number * config.sides for number in TRIED)
    return height, width


def _first_that_works(trial: _Trial, config: OnnxConfig) -> tuple[OnnxConfig, NDArray[np.float32]]:
    """Find the multiple for sides by trying; return the network's output, too."""
    multiples = (math.gcd(config.side, MULTIPLES[-1]),) if config.side else MULTIPLES
    for multiple in multiples:
        config = replace(config, sides=multiple)
        try:
            found = trial.raw(config)
        except ModelError:
            if multiple == multiples[-1]:
                raise
            continue
        if _axes_that_fit(config, found) or multiple == multiples[-1]:
            return config, found
    raise AssertionError  # the last multiple either returns or raises


def _axes_that_fit(config: OnnxConfig, found: NDArray[np.float32]) -> list[OutputLayout]:
    """Return the possible axes of a map: its sides are the image's, divided by one stride."""
    height, width = _size(config)
    fitting: list[OutputLayout] = []
    for axes, (rows, columns) in AXES.items():
        if found.ndim != len(axes) or not all(found.shape):
            continue
        stride = height // found.shape[rows]
        if (found.shape[rows] * stride, found.shape[columns] * stride) == (height, width):
            fitting.append(axes)
    return fitting


def _with_output_axes(trial: _Trial, config: OnnxConfig, found: NDArray[np.float32]) -> OnnxConfig:
    """Complete a config from the shape of the map."""
    path, classes = trial.path, config.classes
    height, width = _size(config)
    shape = " x ".join(str(side) for side in found.shape)
    counts = {
        axes: 1 if axes == "NHW" else found.shape[axes.index("C")] for axes in _axes_that_fit(config, found)
    }
    if not counts:
        raise ModelError(
            f"{path}: gives {shape} numbers for an image of {width} x {height} px, which is no map of it: "
            "export a network that pads, and gives one number for each class and pixel"
        )
    axes = next((axes for axes, count in counts.items() if count in (classes, 1)), next(iter(counts)))
    channels = counts[axes]
    if channels == 1 and classes > 2 and (found == np.round(found)).all() and found.any():
        raise ModelError(f"{path}: its output {config.output} {IDS}")
    if channels != classes and (channels, classes) != (1, 2):
        two = ", or a schema of two classes for its one channel" if channels == 1 else ""
        raise ModelError(
            f"{path}: its output {config.output} has {channels} channels, and the schema {classes} classes: "
            f"name the schema that it was trained with{two}"
        )
    stride = height // found.shape[AXES[axes][0]]
    if LARGEST_STRIDE % stride:
        raise ModelError(
            f"{path}: gives one number for {stride} x {stride} px: at most {LARGEST_STRIDE} are served"
        )
    return replace(config, output_layout=axes, single=channels == 1, stride=stride)


def _values(path: Path, config: OnnxConfig, found: NDArray[np.float32], stated: bool | None) -> Values:
    """Infer the kind of the map's values."""
    if not np.isfinite(found).all():
        raise ModelError(f"{path}: gives numbers that are NaN or infinite: export it in float32")
    low, high = float(found.min()), float(found.max())
    possible = low >= 0 and high <= 1
    if stated and not possible:
        raise UsageError(f"--softmax: {path} gives {low:.3g} to {high:.3g}, which are no probabilities")
    if stated is False or not possible:
        return "logits"
    if config.single:
        return "sigmoid"
    sums = found.sum(axis=1 if config.output_layout == "NCHW" else 3)
    return "softmax" if np.abs(sums - 1).max() <= SUM_OFF else "sigmoid"

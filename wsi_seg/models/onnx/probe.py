"""What an ONNX network takes and gives: as its file states, and where that leaves it open, by trying."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.onnx.network import Element, Layout, OnnxConfig, OutputLayout, Values, given_to, run
from wsi_seg.models.onnx.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.models.bundle import InputSpec
    from wsi_seg.models.onnx.graph import Graph, Port

RGB = 3
MULTIPLES = (32, 64)
"""What sides are multiples of: the first that works is taken. Patches of slides are multiples of the last."""

LARGEST_STRIDE = 32
TRIED = (9, 11)
"""Height and width that a network is tried with, in that multiple: odd, so that a larger one would show."""

BRIGHTNESS, CONTRAST = 180.0, 45.0
"""Mean and standard deviation of the pixels that it is tried with: about those of a stained slide."""

SUM_OFF = 2e-3
"""By how much the probabilities of a pixel may miss 1, as they do in float16."""

BATCH_OFF = 1e-2
"""By how much the logits of an image may differ beside another image, as a share of the largest."""

AXES: dict[OutputLayout, tuple[int, int]] = {"NCHW": (2, 3), "NHWC": (1, 2), "NHW": (1, 2)}
"""Those of height and width."""


@dataclass(frozen=True)
class Stated:
    """What the user says of a network; what is None is found out.

    Attributes
    ----------
    output : str or None
        Name of the map of classes.
    layout : {"NCHW", "NHWC"} or None
        Axes of the image.
    probabilities : bool or None
        Whether the map holds probabilities, of a softmax or a sigmoid in the network, or logits.
    """

    output: str | None = None
    layout: Layout | None = None
    probabilities: bool | None = None


def find_out(path: Path, graph: Graph, spec: InputSpec, classes: int, stated: Stated) -> OnnxConfig:
    """Find out what a network takes and gives.

    Parameters
    ----------
    path : Path
        What errors name.
    graph : Graph
    spec : InputSpec
        How pixels are normalised: the network is tried with pixels as it will see them.
    classes : int
        That it should have.
    stated : Stated

    Returns
    -------
    OnnxConfig
        All but its reach.

    Raises
    ------
    ModelError
        If the network does not map an image to a map of as many classes.
    UsageError
        If something has to be stated, or is stated wrongly.
    """
    image, output = _image(path, graph, spec), _output(path, graph, stated.output)
    layout, side = _layout(path, image, stated.layout)
    config = OnnxConfig(
        classes=classes,
        size=len(graph.data),
        weights=graph.weights,
        opset=graph.opset,
        input=image.name,
        output=output.name,
        layout=layout,
        element=image.element,  # type: ignore[arg-type]  # checked by `_image`
        sides=MULTIPLES[0],
        side=side,
        batch=image.shape[0],
    )
    trial = _Trial(path, Session(path, graph.data, torch.device("cpu"), torch.get_num_threads()), spec)
    config, found = _first_that_works(trial, config)
    config = _with_output_axes(trial, config, found)
    config = replace(config, values=_values(trial, config, stated.probabilities))
    return config if config.batch or trial.takes_two(config) else replace(config, batch=1)


def pixels_of(noise: Tensor, spec: InputSpec) -> Tensor:
    """Turn noise of mean 0 and variance 1, (N, 3, H, W), into pixels about those of a slide, normalised."""
    pixels = (BRIGHTNESS + CONTRAST * noise).clamp(0, 255).round()
    mean, std = (torch.tensor(each).view(1, RGB, 1, 1) for each in (spec.mean, spec.std))
    return (pixels - mean) / (std * spec.scale)


@dataclass(frozen=True)
class _Trial:
    """A network, and images to try it with."""

    path: Path
    session: Session
    spec: InputSpec

    def images(self, config: OnnxConfig, count: int = 1) -> Tensor:
        """Return normalised images of a size that it may take, (count, 3, height, width)."""
        height, width = (config.side or number * config.sides for number in TRIED)
        noise = torch.randn(count, RGB, height, width, generator=torch.Generator().manual_seed(count))
        return pixels_of(noise, self.spec)

    def raw(self, config: OnnxConfig) -> NDArray[np.float32]:
        """Return what it gives for an image, as it is; of a batch of a fixed size, the first."""
        given = given_to(config, self.images(config).expand(config.batch or 1, -1, -1, -1))
        found = np.asarray(self.session.run(given, config.input, config.output), np.float32)
        return found[:1]

    def takes_two(self, config: OnnxConfig) -> bool:
        """Whether two images at a time give what each gives alone."""
        images = self.images(config, 2)
        alone = torch.cat([run(self.session, config, image[None]) for image in images])
        try:
            together = run(self.session, config, images)
        except ModelError:
            return False
        off = (together - alone).abs().max() if together.shape == alone.shape else torch.inf
        return bool(off <= BATCH_OFF * alone.abs().max())


def _image(path: Path, graph: Graph, spec: InputSpec) -> Port:
    if len(graph.inputs) != 1:
        raise ModelError(
            f"{path}: takes {len(graph.inputs)} inputs ({_listed(graph.inputs)}), not one image: export a "
            "network of one input"
        )
    image = graph.inputs[0]
    if len(image.shape) != 4 or image.element not in get_args(Element):
        raise ModelError(
            f"{path}: its input {image} is no image: export one of (N, 3, H, W), or (N, H, W, 3), in float32"
        )
    if image.element == "uint8" and (spec.mean, spec.std, spec.scale) != ((0, 0, 0), (1, 1, 1), 1):
        raise UsageError(
            f"{path}: takes pixels as they are (uint8): give --mean 0,0,0 --std 1,1,1 --range 255"
        )
    return image


def _layout(path: Path, image: Port, stated: Layout | None) -> tuple[Layout, int | None]:
    """Return the axes of the image, and the side of square images if no other can be had."""
    channels: dict[Layout, int | None] = {"NCHW": image.shape[1], "NHWC": image.shape[3]}
    fitting: list[Layout] = [each for each, count in channels.items() if count == RGB]
    fitting = fitting or [each for each, count in channels.items() if count is None]
    if not fitting or (stated and channels[stated] not in (RGB, None)):
        raise ModelError(f"{path}: its input {image} has no axis of 3 channels where one is expected")
    if stated is None and len(fitting) > 1:
        raise UsageError(f"{path}: whether its input {image} is NCHW or NHWC cannot be seen: give --layout")
    layout = stated or fitting[0]
    height, width = image.shape[2:] if layout == "NCHW" else image.shape[1:3]
    side = height or width
    if side is not None and (height or side, width or side) != (side, side):
        raise ModelError(f"{path}: takes images of {width} x {height} px alone, and patches are square")
    if side is not None and (side % 2 or side < 2 * MULTIPLES[0]):
        raise ModelError(
            f"{path}: takes images of {side} x {side} px alone: export it for any size, or for an even one "
            f"of {2 * MULTIPLES[0]} or more"
        )
    return layout, side


def _output(path: Path, graph: Graph, stated: str | None) -> Port:
    listed = _listed(graph.outputs)
    if stated is None and len(graph.outputs) != 1:
        raise UsageError(f"{path}: gives {len(graph.outputs)} outputs: name one by --output-name: {listed}")
    output = next((each for each in graph.outputs if stated in (None, each.name)), None)
    if output is None:
        raise UsageError(f"{path}: has no output {stated}: name one by --output-name: {listed}")
    if output.element not in ("float32", "float16"):
        raise ModelError(
            f"{path}: its output {output} holds no score for each class: export the network without the "
            "argmax at its end"
        )
    return output


def _first_that_works(trial: _Trial, config: OnnxConfig) -> tuple[OnnxConfig, NDArray[np.float32]]:
    """Try what sides are multiples of; return what the network gives, too."""
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
    raise AssertionError  # the last either returns or raises


def _axes_that_fit(config: OnnxConfig, found: NDArray[np.float32]) -> list[OutputLayout]:
    """Return the axes that a map can have: its sides are the image's, divided by one stride."""
    height, width = (config.side or number * config.sides for number in TRIED)
    fitting: list[OutputLayout] = []
    for axes, (rows, columns) in AXES.items():
        if found.ndim != len(axes) or not all(found.shape):
            continue
        stride = height // found.shape[rows]
        if (found.shape[rows] * stride, found.shape[columns] * stride) == (height, width):
            fitting.append(axes)
    return fitting


def _with_output_axes(trial: _Trial, config: OnnxConfig, found: NDArray[np.float32]) -> OnnxConfig:
    """Complete a config with what the map's shape says."""
    path, classes = trial.path, config.classes
    height, width = trial.images(config).shape[2:]
    shape = " x ".join(str(side) for side in found.shape)
    counts = {
        axes: 1 if axes == "NHW" else found.shape[axes.index("C")] for axes in _axes_that_fit(config, found)
    }
    if not counts:
        raise ModelError(
            f"{path}: gives {shape} numbers for an image of {width} x {height} px: no map of classes"
        )
    axes = next((axes for axes, count in counts.items() if count in (classes, 1)), next(iter(counts)))
    channels = counts[axes]
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


def _values(trial: _Trial, config: OnnxConfig, stated: bool | None) -> Values:
    """Tell what the map holds by its values."""
    found = trial.raw(config)
    if not np.isfinite(found).all():
        raise ModelError(f"{trial.path}: gives numbers that are NaN or infinite: export it in float32")
    low, high = float(found.min()), float(found.max())
    possible = low >= 0 and high <= 1
    if stated and not possible:
        raise UsageError(f"--softmax: {trial.path} gives {low:.3g} to {high:.3g}, which are no probabilities")
    if stated is False or not possible:
        return "logits"
    if config.single:
        return "sigmoid"
    sums = found.sum(axis=1 if config.output_layout == "NCHW" else 3)
    return "softmax" if np.abs(sums - 1).max() <= SUM_OFF else "sigmoid"


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(str(port) for port in ports)

"""The input image and the output map of an ONNX network, as far as its file states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.onnx.onnx_config import Element, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.onnx.graph import Graph, Port

RGB = 3
MULTIPLES = (32, 64)
"""Possible multiples of sides: the first that works is used. Patches are multiples of the last."""

SCORES = frozenset({"float16", "float32", "float64"})

IDS = "holds class ids, and no score for each class: export the network without the argmax at its end"


@dataclass(frozen=True)
class Stated:
    """Properties of a network that the user states; those that are None are found by trying.

    Attributes
    ----------
    output : str or None
        Name of the map of classes.
    layout : {"NCHW", "NHWC"} or None
        Axes of the image.
    probabilities : bool or None
        Whether the map holds probabilities (the network ends in a softmax or a sigmoid) or logits.
    """

    output: str | None = None
    layout: Layout | None = None
    probabilities: bool | None = None


def image_of(path: Path, graph: Graph, spec: InputSpec) -> Port:
    """Return the input that takes the image.

    Raises
    ------
    ModelError
        If there is none, or there are other inputs.
    UsageError
        If it takes raw pixels, but a normalisation is given.
    """
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


def axes_of(path: Path, image: Port, stated: Layout | None) -> tuple[Layout, int | None]:
    """Return the axes of the image, and the side of square images if only one size is possible.

    Raises
    ------
    ModelError
        If it is not an image of three channels, or has sides that patches cannot have.
    UsageError
        If its axes must be stated.
    """
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


def map_of(path: Path, graph: Graph, stated: str | None) -> Port:
    """Return the output that holds the map of classes.

    Raises
    ------
    ModelError
        If it holds no scores.
    UsageError
        If it must be stated, or there is none of that name.
    """
    listed = _listed(graph.outputs)
    if stated is None and len(graph.outputs) != 1:
        raise UsageError(f"{path}: gives {len(graph.outputs)} outputs: name one by --output-name: {listed}")
    output = next((each for each in graph.outputs if stated in (None, each.name)), None)
    if output is None:
        raise UsageError(f"{path}: has no output {stated}: name one by --output-name: {listed}")
    if output.element.startswith(("int", "uint", "bool")):
        raise ModelError(f"{path}: its output {output} {IDS}")
    if output.element not in SCORES:
        raise ModelError(f"{path}: its output {output} holds no scores that are read: export it in float32")
    return output


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(str(port) for port in ports)

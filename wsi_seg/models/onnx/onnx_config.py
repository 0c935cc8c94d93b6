"""The config of an ONNX network: its input and its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, with_config

from wsi_seg.models.network_config import Stage, TriedConfig

Layout = Literal["NCHW", "NHWC"]
OutputLayout = Literal["NCHW", "NHWC", "NHW"]
Element = Literal["float32", "float16", "uint8"]
Values = Literal["logits", "softmax", "sigmoid"]

MAX_BYTES = 2**31


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class OnnxConfig(TriedConfig):
    """The input and the output of an ONNX network.

    Attributes
    ----------
    classes : int
    size : int
        Bytes of the ONNX model.
    weights : int
        Number of its weights.
    opset : int
        Version of ONNX's operators.
    input, output : str
        Names of the image and of the map of classes.
    layout : {"NCHW", "NHWC"}
        Axes of the image.
    output_layout : {"NCHW", "NHWC", "NHW"}
        Axes of the map.
    element : {"float32", "float16", "uint8"}
        Numbers of the image.
    values : {"logits", "softmax", "sigmoid"}
        The values of the map: any numbers, of which the largest is the class; or probabilities.
    single : bool
        Whether the map has one channel, for the second of two classes.
    stride : int
        Image pixels per number of the map along each side.
    sides : int
        An image's sides are multiples of this.
    side : int or None
        The only side that images can have; None for any.
    batch : int or None
        The only number of images; None for any.
    reach : int or None
        In pixels, as measured; None if it is unbounded.
    """

    size: int = 0
    weights: int = 0
    opset: int = 0
    input: str = ""
    output: str = ""
    layout: Layout = "NCHW"
    output_layout: OutputLayout = "NCHW"
    element: Element = "float32"
    values: Values = "logits"
    single: bool = False
    stride: int = 1
    sides: int = 32
    side: int | None = None
    batch: int | None = None
    reach: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.size < MAX_BYTES:
            raise ValueError(f"size is {self.size}: use 1 to {MAX_BYTES - 1} bytes")
        if self.single and self.classes != 2:
            raise ValueError(f"a map of one channel has two classes, not {self.classes}")
        for name in ("side", "batch", "reach"):
            number = getattr(self, name)
            if number is not None and number < (name != "reach"):
                raise ValueError(f"{name} is {number}: too small")

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return "ONNX network"

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        side = (
            f"{self.side} x {self.side} px" if self.side else f"any sides that are multiples of {self.sides}"
        )
        gives = "one channel" if self.single else "a channel for each class"
        every = f", one number for {self.stride} x {self.stride} px" if self.stride > 1 else ""
        reach = "reaches over the whole patch" if self.reach is None else f"reaches {self.reach} px"
        return (
            f"opset {self.opset}; {self.layout} {self.element}, {side}; gives {self.values}, {gives}{every}; "
            f"{reach}"
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of its training: none, as it cannot be trained."""
        return ()

"""A model: a network that segments, with its classes and its resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.api.arguments import AnyPath, checked, number_of, path_of, shown
from wsi_seg.api.network_input import input_of, schema_of
from wsi_seg.api.slide_image import SlideImage
from wsi_seg.errors import UsageError
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.plain_images import label_image
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.given import load_given, model_of
from wsi_seg.models.lookup import resolve_model
from wsi_seg.predict.arrays import label_array
from wsi_seg.settings import LabelSettings, RunSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal, Self

    from numpy.typing import NDArray
    from torch import nn

    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import TissueClass

    _How = tuple[str, Precision, Compile]

MPP_TOLERANCE = 0.02
"""Largest relative difference between the resolutions of an image and the model: label pixels are changed by
up to 1 % to fit a slide's own grid."""


class Model:
    """A network that is ready to segment. `wsi_seg.load_model` returns one.

    Parameters
    ----------
    bundle : ModelBundle
        The contents of a model file.
    named : str, optional
        The name or path by which the user gave it, as summaries state it; by default the file's path.
    """

    def __init__(self, bundle: ModelBundle, named: str | None = None) -> None:
        self.bundle = bundle
        self.named = str(bundle.path) if named is None else named
        self._singles: dict[_How, Segmenter] = {}
        self._pools: dict[_How, SegmenterPool] = {}

    def __repr__(self) -> str:
        at = "for plain images" if self.mpp is None else f"at {self.mpp:g} um per px"
        return f"<wsi_seg.Model {self.name!r}, {len(self.classes)} classes, {at}>"

    @classmethod
    def from_torch(
        cls,
        network: nn.Module,
        *,
        classes: Sequence[str] | AnyPath,
        mean: Sequence[float],
        std: Sequence[float],
        mpp: float | None = None,
        channels: Literal["rgb", "bgr"] = "rgb",
        pixel_max: Literal[1, 255] | None = None,
        name: str | None = None,
    ) -> Self:
        """Make a model from any PyTorch network. The network is copied. The model works in this process.

        Parameters
        ----------
        network : nn.Module
            Maps normalised images, float (N, 3, H, W), to logits (N, classes, H / s, W / s), for any H and W
            that are multiples of 64. The stride s and other possible sizes are found by trying; how far the
            network sees is measured.
        classes : sequence of str, or str or path
            Names of the classes in the order of the channels; or a class schema, by name or as a YAML file.
        mean, std : sequence of three floats
            For each channel: the network sees ``(pixel - mean) / std``.
        mpp : float, optional
            Working resolution in micrometres per pixel; None for a model of plain images.
        channels : {"rgb", "bgr"}
            Order of the input channels.
        pixel_max : {1, 255}, optional
            Value of white on the scale of `mean` and `std`; by default it follows from their size.
        name : str, optional
            Name of the model; by default the network's class.

        Raises
        ------
        ModelError
            If the network's output has another form, or another number of classes.
        UsageError
            If a value is not valid.
        """
        spec = input_of(mean, std, pixel_max, channels, mpp)
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name={shown(name)}: give a string")
        return cls(model_of(network, schema_of(classes), spec, name))

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.bundle.name

    @property
    def classes(self) -> tuple[TissueClass, ...]:
        """The classes, in the order of the channels; each has an ``id``, a ``name`` and a ``color``."""
        return self.bundle.schema.classes

    @property
    def mpp(self) -> float | None:
        """Working resolution in micrometres per pixel; None for a model of plain images."""
        return self.bundle.input.mpp

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model file, in hexadecimal."""
        return self.bundle.fingerprint

    @property
    def path(self) -> Path:
        """The model file."""
        return self.bundle.path

    @property
    def notice(self) -> str | None:
        """The notice that users must see before they trust the results; None if there is none."""
        return self.bundle.notice

    def segment(
        self,
        rgb: NDArray[np.uint8],
        *,
        mpp: float | None = None,
        device: str = "auto",
        precision: Precision = "float32",
        compile: Compile = "auto",  # noqa: A002
    ) -> NDArray[np.uint8]:
        """Segment an image in memory.

        A model for slides segments it as `wsi_seg.segment` segments a slide: in patches with a halo if it is
        large, mirrored at its edges, but without a tissue mask. A model for plain images segments it as
        `wsi-seg predict` segments a plain image.

        Parameters
        ----------
        rgb : uint8 array, shape (height, width, 3)
            An image of any size. If its resolution is not known, it is taken to be the model's. What
            ``open_slide(...).read(...)`` returns states its resolution.
        mpp : float, optional
            Micrometres per pixel of `rgb`, if you know them.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision : {"float32", "bfloat16", "float16"}
            Of the network's arithmetic.
        compile : {"auto", "yes", "no", "amx"}
            Whether to use compiled kernels.

        Returns
        -------
        uint8 array, shape (height, width)
            Class ids: ``model.classes`` names them.

        Raises
        ------
        UsageError
            If `rgb` is not such an array, or its resolution is not the model's.
        DeviceError
            If the device is not available, or runs out of memory.
        """
        _check_image(rgb)
        self._check_mpp(rgb, number_of("mpp", mpp))
        checked(LabelSettings, {"precision": precision, "compile": compile})
        checked(RunSettings, {"device": device})
        pixels = np.ascontiguousarray(np.asarray(rgb))
        chosen = choose_device(device)
        if self.mpp is None:
            return label_image(pixels, self.bundle, self._single(chosen, precision, compile))
        pool = self._pool(chosen, precision, compile)
        return label_array(pixels, pool, self.bundle, LabelSettings(), chosen)

    def _single(self, *how: *_How) -> Segmenter:
        """Return the network prepared for plain images; it is prepared once for each way to run it."""
        if how not in self._singles:
            self._singles[how] = Segmenter(self.bundle, *how)
        return self._singles[how]

    def _pool(self, *how: *_How) -> SegmenterPool:
        """Return the network prepared for patches of slides, likewise."""
        if how not in self._pools:
            self._pools[how] = SegmenterPool(self.bundle, *how)
        return self._pools[how]

    def _check_mpp(self, rgb: NDArray[np.uint8], given: float | None) -> None:
        stated = rgb.mpp if isinstance(rgb, SlideImage) else None
        known = [given] if given is not None else [] if stated is None else list(stated)
        if self.mpp is None or all(abs(mpp / self.mpp - 1) <= MPP_TOLERANCE for mpp in known):
            return
        found = " x ".join(f"{mpp:g}" for mpp in dict.fromkeys(known))
        raise UsageError(
            f"an image at {found} um per px: {self.name} works at {self.mpp:g}: read it with "
            f"open_slide(...).read(..., mpp={self.mpp:g}), or resample it"
        )


def load_model(name_or_path: str | os.PathLike[str], *, network: nn.Module | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path
        A model file, ``.safetensors``, or the name of a built-in model, such as ``"breast-demo"``.
    network : nn.Module, optional
        For the file of a model that was made by `Model.from_torch`: a network of the same kind. It is copied,
        and takes the file's weights.

    Raises
    ------
    ModelError
        If there is no such model, or the file is damaged; one line that says which.
    """
    named = str(path_of(name_or_path))
    if network is not None:
        return Model(load_given(resolve_model(named), network), named)
    return Model(load_bundle(resolve_model(named)), named)


def as_model(model: Model | str | os.PathLike[str]) -> Model:
    """Return an open model unchanged, or load one by its name or file."""
    return model if isinstance(model, Model) else load_model(model)


def _check_image(rgb: NDArray[np.uint8]) -> None:
    remedy = "give uint8 RGB of shape (height, width, 3)"
    if not isinstance(rgb, np.ndarray):
        raise UsageError(f"a {type(rgb).__name__} is not an image: {remedy}")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise UsageError(f"an array of {rgb.dtype}, shape {rgb.shape}, is not an image: {remedy}")

"""A model: a network that segments, and what its classes mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.api.asked import checked, number_of, path_of, shown
from wsi_seg.api.network_input import input_of, schema_of
from wsi_seg.api.pixels import SlideImage
from wsi_seg.errors import UsageError
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.network.segmenter import Segmenter, choose_device
from wsi_seg.inference.plain_images import label_image
from wsi_seg.models.bundle import load_bundle, resolve_model
from wsi_seg.models.given import load_given, model_of
from wsi_seg.predict.arrays import label_array
from wsi_seg.settings import LabelSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal, Self

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from wsi_seg.inference.network.forms import Compile, Precision
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import TissueClass

    _How = tuple[torch.device, Precision, Compile]

MPP_TOLERANCE = 0.02
"""By what share an image's resolution may differ from the model's: label pixels are moved by up to 1 % to lie
on a slide's own grid."""


class Model:
    """A network that is ready to segment. `wsi_seg.load_model` gives one.

    Parameters
    ----------
    bundle : ModelBundle
        What a model file holds.
    named : str, optional
        What it was asked for by, which summaries state; by default the file's path.
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
        classes: Sequence[str] | str,
        mean: Sequence[float],
        std: Sequence[float],
        mpp: float | None = None,
        channels: Literal["rgb", "bgr"] = "rgb",
        pixel_max: Literal[1, 255] | None = None,
        name: str | None = None,
    ) -> Self:
        """Make a model of any network of PyTorch. It is copied, and works in this process.

        Parameters
        ----------
        network : nn.Module
            Maps normalised images, float (N, 3, H, W), to logits (N, classes, H / s, W / s), for any H and W
            that are multiples of 64. The stride s, and what else sides may be, are found out by trying; how
            far the network sees is measured.
        classes : sequence of str, or str
            Their names in the order of the channels; or a class schema, by name or as a YAML file.
        mean, std : sequence of three floats
            By channel: the network sees ``(pixel - mean) / std``.
        mpp : float, optional
            Micrometres per pixel that it works at; None for a model of plain images.
        channels : {"rgb", "bgr"}
            Their order.
        pixel_max : {1, 255}, optional
            What white is where `mean` and `std` were taken; by default it follows from their size.
        name : str, optional
            Of the model; the network's class by default.

        Raises
        ------
        ModelError
            If the network maps images to something else, or has another number of classes.
        UsageError
            If a value does not fit.
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
        """Its classes, in the order of its channels; each has an ``id``, a ``name`` and a ``color``."""
        return self.bundle.schema.classes

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel that it works at; None for a model of plain images."""
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
        """What users must know before they trust the results; None if nothing is stated."""
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

        A model for slides segments it as `wsi_seg.segment` does a slide: in patches with a halo if it is
        large, mirrored at its edges, but without a tissue mask. A model for plain images segments it as
        `wsi-seg predict` does a picture.

        Parameters
        ----------
        rgb : uint8 array, shape (height, width, 3)
            Of any size. Its resolution is taken to be the model's, unless it is known: what
            ``open_slide(...).read(...)`` returns states its own.
        mpp : float, optional
            Micrometres per pixel of `rgb`, where you know them.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision : {"float32", "bfloat16", "float16"}
        compile : {"auto", "yes", "no"}
            Whether to run by compiled kernels.

        Returns
        -------
        uint8 array, shape (height, width)
            Class ids: ``model.classes`` names them.

        Raises
        ------
        UsageError
            If `rgb` is no such array, or its resolution is not the model's.
        DeviceError
            If the device is not there, or runs out of memory.
        """
        _check_image(rgb)
        self._check_mpp(rgb, number_of("mpp", mpp))
        checked(LabelSettings, {"precision": precision, "compile": compile})
        pixels = np.ascontiguousarray(np.asarray(rgb))
        chosen = choose_device(device)
        if self.mpp is None:
            return label_image(pixels, self.bundle, self._single(chosen, precision, compile))
        pool = self._pool(chosen, precision, compile)
        return label_array(pixels, pool, self.bundle, LabelSettings(), str(chosen))

    def _single(self, *how: *_How) -> Segmenter:
        """Return the network made ready for plain images; made once for each way to run it."""
        if how not in self._singles:
            self._singles[how] = Segmenter(self.bundle, *how)
        return self._singles[how]

    def _pool(self, *how: *_How) -> SegmenterPool:
        """Return the network made ready for patches of slides, likewise."""
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
        For the file of a model that was made by `Model.from_torch`: a network like that one, which is copied
        and gets the file's weights.

    Raises
    ------
    ModelError
        If there is none such, or the file is damaged; one line that says which.
    """
    named = str(path_of(name_or_path))
    if network is not None:
        return Model(load_given(resolve_model(named), network), named)
    return Model(load_bundle(resolve_model(named)), named)


def as_model(model: Model | str | os.PathLike[str]) -> Model:
    """Return the model that is meant: one that is open already, or a name or file to load."""
    return model if isinstance(model, Model) else load_model(model)


def _check_image(rgb: NDArray[np.uint8]) -> None:
    remedy = "give uint8 RGB of shape (height, width, 3)"
    if not isinstance(rgb, np.ndarray):
        raise UsageError(f"a {type(rgb).__name__} is no image: {remedy}")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise UsageError(f"an array of {rgb.dtype}, shape {rgb.shape}, is no image: {remedy}")

"""A trained network's tensors, and its normalisations as scales and shifts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.kernels import Finish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

NORM_EPS = 1e-3
"""The constant that all batch normalisations add to the variance."""


@dataclass(frozen=True)
class Weights:
    """A network's tensors by name, or those of a part of it."""

    tensors: Mapping[str, NDArray[Any]]
    prefix: str = ""

    def under(self, name: str) -> Weights:
        """Return the tensors of a module in this one."""
        return Weights(self.tensors, f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.tensors[self.prefix + name]

    def branches(self) -> list[NDArray[np.float32]]:
        """Return the convolutions of an ESP module."""
        names = (f"{self.prefix}branches.{k}.weight" for k in count())
        return [self.tensors[name] for name in takewhile(self.tensors.__contains__, names)]

    def norm(self, name: str) -> Finish:
        """Return a trained batch normalisation as a scale and a shift."""
        norm = self.under(name)
        scale = norm["weight"] / np.sqrt(norm["running_var"] + NORM_EPS)
        return Finish(scale, norm["bias"] - norm["running_mean"] * scale, np.ones_like(scale))

    def norm_act(self, name: str) -> Finish:
        """Return a trained batch normalisation and the PReLU after it, likewise."""
        norm = self.norm(f"{name}.0")
        return Finish(norm.scale, norm.shift, self[f"{name}.1.weight"])

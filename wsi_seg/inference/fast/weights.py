"""A trained network's tensors, and its normalisations as scales and shifts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING

import torch

from wsi_seg.inference.fast.kernels import Finish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

NORM_EPS = 1e-3
"""The constant that all batch normalisations add to the variance."""


@dataclass(frozen=True)
class Weights:
    """A network's tensors by name, or those of a part of it."""

    tensors: Mapping[str, Tensor]
    prefix: str = ""

    def under(self, name: str) -> Weights:
        """Return the tensors of a module in this one."""
        return Weights(self.tensors, f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]

    def branches(self) -> list[Tensor]:
        """Return the convolutions of an ESP module."""
        names = (f"{self.prefix}branches.{k}.weight" for k in count())
        return [self.tensors[name] for name in takewhile(self.tensors.__contains__, names)]

    def norm(self, name: str) -> Finish:
        """Return a trained batch normalisation as a scale and a shift."""
        norm = self.under(name)
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + NORM_EPS)
        return Finish(scale, norm["bias"] - norm["running_mean"] * scale, torch.ones_like(scale))

    def norm_act(self, name: str) -> Finish:
        """Return a trained batch normalisation and the PReLU after it, likewise."""
        norm = self.norm(f"{name}.0")
        return Finish(norm.scale, norm.shift, self[f"{name}.1.weight"])

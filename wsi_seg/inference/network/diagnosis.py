"""The diagnosis of a plain image as a whole, by networks that predict it beside the pixels' classes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.errors import DeviceError
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.models.biopsy import BiopsyNet, diagnoses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec


@dataclass(frozen=True)
class Diagnosis:
    """The class of a whole image.

    Attributes
    ----------
    number : int
        The most probable class, from 0, as ``train.txt`` numbered them.
    probabilities : tuple of float
        The probability of each class.
    """

    number: int
    probabilities: tuple[float, ...]

    def __str__(self) -> str:
        last, chance = len(self.probabilities) - 1, max(self.probabilities)
        return f"diagnosis {self.number} of 0 to {last} (p = {chance:.2f})"


class Diagnoser:
    """Diagnoses plain images, in float32.

    Parameters
    ----------
    network : BiopsyNet
        With a diagnosis head. It is copied, and stays unchanged.
    spec : InputSpec
    device : torch.device
    """

    def __init__(self, network: BiopsyNet, spec: InputSpec, device: torch.device) -> None:
        self._network = copy.deepcopy(network).to(device)
        self._normalise = Normalisation(spec, device)
        self._device = device

    @classmethod
    def of(cls, bundle: ModelBundle, device: torch.device) -> Diagnoser | None:
        """Return a diagnoser for a model that diagnoses, else None."""
        return cls(bundle.network, bundle.input, device) if diagnoses(bundle.network) else None

    @torch.inference_mode()
    def __call__(self, rgb: NDArray[np.uint8]) -> Diagnosis:
        """Diagnose an image of the size that the network takes.

        Parameters
        ----------
        rgb : uint8 array, shape (height, width, 3)
            Sides that are not multiples of 8 are padded at their ends with the mirrored image.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        """
        fill = [(0, -side % self._network.config.multiple) for side in rgb.shape[:2]]
        padded = np.pad(rgb, [*fill, (0, 0)], mode="reflect")
        pixels = torch.from_numpy(padded).to(self._device).permute(2, 0, 1)[None]
        try:
            chances = self._network.diagnosis_of(self._normalise(pixels))[0].softmax(0).cpu()
        except torch.OutOfMemoryError as error:
            height, width = rgb.shape[:2]
            raise DeviceError(
                f"{self._device}: out of memory at {width} x {height} px: use --device cpu"
            ) from error
        return Diagnosis(int(chances.argmax()), tuple(float(p) for p in chances))

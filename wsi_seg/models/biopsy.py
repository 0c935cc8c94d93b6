"""The breast-biopsy network of the ESPNet authors, top to bottom, with or without its diagnosis head.

Mehta, Mercan, Bartlett, Weaver, Elmore, Shapiro: "Y-Net: Joint Segmentation and Classification for Diagnosis
of Breast Biopsy Images", MICCAI 2018, arXiv:1806.01313; without the diagnosis, at 8 classes, it has the
2.75 million parameters of the network that the ESPNet paper reports on breast biopsies.

The layers are the authors', with three differences. The heads may be wider than the number of classes. A
convolution of dilation 16 in each block, which the authors' joint network has and never uses, is left out
(`count_unused`: of the published 3,913,381 weights with 5 diagnoses, 3,687,589 are used and 225,792 are not).
And images may have any size. The authors' pools were made for 384 x 384 pixels, where their cells are 6/5 to
8/3 map pixels wide; here, cells of these sizes cover maps of any size. So at 384 pixels the pools are the
authors', and a pixel's class depends on its surroundings, not on the size of its patch: two overlapping
patches agree where both see enough, if they lie a multiple of `POOL_PERIOD` pixels apart.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from wsi_seg.models.biopsy_blocks import (
    CELLS,
    ESPBlock,
    Pyramid,
    ResidualBlock,
    convolution,
    double,
    initialise,
    norm_act,
)
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.network import Network

LEVEL1, LEVEL2, LEVEL3 = 16, 128, 256
"""Channels of the three levels of the encoder, at 1/2, 1/4 and 1/8 of the image's sides."""

BLOCKS2, BLOCKS3 = 2, 5
"""Blocks at the second and third level."""

POOLED2, POOLED3 = 64, 128
"""Channels of each pooled branch at the second and third level."""

REDUCED3 = 128
DIAGNOSIS1, DIAGNOSIS2, DIAGNOSIS_BLOCKS, DIAGNOSIS_HIDDEN = 128, 64, 2, 64


class Level(nn.Module):
    """One level of the encoder: halve the map, refine it, and return it before and after, concatenated."""

    def __init__(self, inputs: int, channels: int, blocks: int, config: BiopsyConfig) -> None:
        super().__init__()
        block = ESPBlock if config.block == "esp" else ResidualBlock
        self.down = convolution(inputs, channels, 3, stride=2)
        self.blocks = nn.Sequential(*(block(channels) for _ in range(blocks)))
        self.merge = norm_act(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 2 * channels, H / 2, W / 2)."""
        first = self.down(x)
        return self.merge(torch.cat([first, self.blocks(first)], dim=1))  # type: ignore[no-any-return]


class DiagnosisHead(nn.Module):
    """Predict one diagnosis for the whole image from the map of the third level."""

    def __init__(self, config: BiopsyConfig, diagnoses: int) -> None:
        super().__init__()
        self.level4 = Level(2 * LEVEL3, DIAGNOSIS1, DIAGNOSIS_BLOCKS, config)
        self.level5 = Level(2 * DIAGNOSIS1, DIAGNOSIS2, DIAGNOSIS_BLOCKS, config)
        # As published, nothing lies between the two.
        self.classify = nn.Sequential(
            nn.Linear(2 * DIAGNOSIS2, DIAGNOSIS_HIDDEN), nn.Linear(DIAGNOSIS_HIDDEN, diagnoses)
        )

    def forward(self, level3: Tensor) -> Tensor:
        """(N, 512, H, W) -> (N, diagnoses)."""
        return self.classify(self.level5(self.level4(level3)).mean(dim=(2, 3)))  # type: ignore[no-any-return]


class BiopsyNet(Network):
    """The breast-biopsy network: an encoder, a segmentation head at each level, and perhaps a diagnosis."""

    config_type = BiopsyConfig
    config: BiopsyConfig

    def __init__(self, config: BiopsyConfig) -> None:
        super().__init__(config)
        width = config.width
        self.level1 = convolution(RGB, LEVEL1, 7, stride=2)
        self.level2 = Level(LEVEL1, LEVEL2, BLOCKS2, config)
        self.level3 = Level(2 * LEVEL2, LEVEL3, BLOCKS3, config)
        self.diagnosis = None if config.diagnoses is None else DiagnosisHead(config, config.diagnoses)
        self.head3 = nn.Sequential(
            Pyramid(2 * LEVEL3, POOLED3),
            convolution(2 * LEVEL3 + len(CELLS) * POOLED3, REDUCED3, 1),
            convolution(REDUCED3, width, 3),
            convolution(width, width, 1),
        )
        self.head2 = nn.Sequential(
            Pyramid(width + 2 * LEVEL2, POOLED2),
            convolution(width + 2 * LEVEL2 + len(CELLS) * POOLED2, width, 3),
            convolution(width, width, 1),
        )
        self.head1 = nn.Sequential(
            Pyramid(LEVEL1 + width, width),
            convolution(LEVEL1 + width + len(CELLS) * width, width, 3),
            nn.Conv2d(width, config.classes, 7, padding=3, bias=False),
        )
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`."""
        return self._segment(*self._encode(image))

    def diagnose(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Segment normalised images, and diagnose each as a whole.

        Parameters
        ----------
        image : Tensor
            As `forward` takes it.

        Returns
        -------
        logits : Tensor
            As `forward` gives them.
        diagnosis : Tensor
            Logits, (N, diagnoses).

        Raises
        ------
        ValueError
            If a side is not a multiple of 8, or the network has no diagnosis head.
        """
        head = self._diagnosis_head()
        level1, level2, level3 = self._encode(image)
        return self._segment(level1, level2, level3), head(level3)

    def diagnosis_of(self, image: Tensor) -> Tensor:
        """Diagnose normalised images without segmenting them: `diagnose`'s second result.

        Raises
        ------
        ValueError
            If a side is not a multiple of 8, or the network has no diagnosis head.
        """
        return self._diagnosis_head()(self._encode(image)[2])  # type: ignore[no-any-return]

    def _diagnosis_head(self) -> DiagnosisHead:
        if self.diagnosis is None:
            raise ValueError("this network has no diagnosis head: make one with `diagnoses` in its config")
        return self.diagnosis

    def _encode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image (N, 3, H, W) -> 16 channels at 1/2, 256 at 1/4, 512 at 1/8."""
        self.check_sides(image)
        level1 = self.level1(image)
        level2 = self.level2(level1)
        return level1, level2, self.level3(level2)

    def _segment(self, level1: Tensor, level2: Tensor, level3: Tensor) -> Tensor:
        """Turn the encoder's maps into logits at full size, from the coarsest to the finest."""
        coarse = double(self.head3(level3))
        middle = double(self.head2(torch.cat([coarse, level2], dim=1)))
        return double(self.head1(torch.cat([level1, middle], dim=1)))


def diagnoses(network: nn.Module) -> TypeGuard[BiopsyNet]:
    """Return whether a network diagnoses whole images."""
    return isinstance(network, BiopsyNet) and network.diagnosis is not None


def count_unused(network: nn.Module) -> int:
    """Count the additional weights that the authors' network of this shape has and never uses.

    With a diagnosis head, each of its ESP blocks of N channels has a fifth dilated convolution, from N / 4 to
    N / 4 channels, which no forward pass uses. It is not built here, so nothing trains or stores it. Other
    networks have no such weights.
    """
    if not diagnoses(network):
        return 0
    blocks = [module for module in network.modules() if isinstance(module, ESPBlock)]
    return sum(sum(weight.numel() for weight in block.branches[-1].parameters()) for block in blocks)

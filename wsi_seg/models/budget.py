"""Equal limits: the largest ESPNet with a given block that is within a budget.

The ESPNet paper compares blocks under the same limits of memory and computation. Here one number is adapted:
the width of the block, or, for ESP modules, the number of them at level 3 (the paper's q).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from wsi_seg.models.block_names import MAX_WIDTH, width_step
from wsi_seg.models.cost import PAPER_SIZE, count_macs, count_parameters, describe
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import MAX_DEPTH, ESPNetConfig


@cache
def fit_to_budget(
    config: ESPNetConfig, parameters: int | None = None, macs: int | None = None
) -> ESPNetConfig:
    """Find the largest network within all given limits.

    Parameters
    ----------
    config : ESPNetConfig
        Only its `block_width` is changed, or its `q` if its block is "esp".
    parameters : int or None
        Largest number of parameters; None for no limit.
    macs : int or None
        Largest number of multiply-accumulates at 1024 x 512; None for no limit.

    Returns
    -------
    ESPNetConfig
        `wsi_seg.models.cost.describe` gives its network's cost.

    Raises
    ------
    ValueError
        If there is no limit, or the smallest such network exceeds it.
    """
    if parameters is None and macs is None:
        raise ValueError("no budget: give parameters, macs or both")
    step, most = (1, MAX_DEPTH) if config.block == "esp" else (width_step(config.block), MAX_WIDTH)
    if not _keeps(_sized(config, step), parameters, macs):
        raise ValueError(
            f"the budget is too small for {describe(_weightless(_sized(config, step)))}: give a larger one"
        )
    fits, over = 1, most // step + 1  # in steps: the largest known to fit, the smallest known not to
    while over - fits > 1:
        middle = (fits + over) // 2
        if _keeps(_sized(config, middle * step), parameters, macs):
            fits = middle
        else:
            over = middle
    return _sized(config, fits * step)


def _sized(config: ESPNetConfig, size: int) -> ESPNetConfig:
    return replace(config, q=size) if config.block == "esp" else replace(config, block_width=size)


def _keeps(config: ESPNetConfig, parameters: int | None, macs: int | None) -> bool:
    network = _weightless(config)
    return (parameters is None or count_parameters(network) <= parameters) and (
        macs is None or count_macs(network, *PAPER_SIZE) <= macs
    )


def _weightless(config: ESPNetConfig) -> ESPNet:
    with torch.device("meta"):
        return ESPNet(config)

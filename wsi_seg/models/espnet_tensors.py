"""The tensors of a published ESPNet by their names, known without making the network.

So a model file can be checked, and run by compiled kernels, without PyTorch, which takes more time to import
than a small slide to segment. A test compares this with the network itself.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from wsi_seg.models.network_config import NetworkConfig

    Shapes = dict[str, tuple[int, ...]]

VARIED = {"classes", "p", "q", "branches", "variant", "decoder_width", "decoder_skip"}
"""Settings in which published ESPNets differ; in all others they have the config's defaults."""

COUNTER, VARIANCE = "num_batches_tracked", "running_var"


def is_published(config: NetworkConfig) -> bool:
    """Return whether a config is that of an ESPNet as published: no ablation, and no other network."""
    if type(config) is not ESPNetConfig:
        return False
    usual = ESPNetConfig(classes=config.classes)
    return all(
        field.name in VARIED or getattr(config, field.name) == getattr(usual, field.name)
        for field in fields(usual)
    )


def fits(tensors: Mapping[str, NDArray[Any]], config: ESPNetConfig) -> bool:
    """Return whether tensors are those of a published ESPNet, one for one, and hold possible values."""
    expected = shapes_of(config)
    return tensors.keys() == expected.keys() and all(
        tensor.shape == expected[name]
        and tensor.dtype == (np.int64 if name.endswith(COUNTER) else np.float32)
        and bool(np.isfinite(tensor).all())
        and not (name.endswith(VARIANCE) and bool((tensor < 0).any()))
        for name, tensor in tensors.items()
    )


def shapes_of(config: ESPNetConfig) -> Shapes:
    """Return the shapes of all tensors of a published ESPNet."""
    full = config.variant == "full"
    image, maps = RGB if config.reinforces else 0, 2 if config.shares else 1
    encoder = {
        "level1.0.weight": (LEVEL1, RGB, 3, 3),
        **_norm_act("level1.1", LEVEL1),
        **_esp("level2_down", LEVEL1 + image, LEVEL2, config.branches, 3),
        **_chain("level2", LEVEL2, config.p, config.branches),
        **_esp("level3_down", maps * LEVEL2 + image, LEVEL3, config.branches, 3),
        **_chain("level3", LEVEL3, config.q, config.branches),
        "head.weight": (config.width if full else config.classes, maps * LEVEL3, 1, 1),
    }
    if config.reinforces:
        encoder |= _norm_act("level1_merge", LEVEL1 + image)
    if config.shares:
        encoder |= _norm_act("level2_merge", maps * LEVEL2 + image) | _norm_act("level3_merge", maps * LEVEL3)
    return _under("encoder", encoder) | (_under("decoder", _decoder(config)) if full else {})


def _decoder(config: ESPNetConfig) -> Shapes:
    wide, skip = config.width, LEVEL1 + (RGB if config.decoder_skip == "reinforced" else 0)
    return {
        **_norm("level3_up.0", wide),
        "level3_up.1.weight": (wide, wide, 2, 2),
        "level2_reduce.weight": (wide, 2 * LEVEL2 + RGB, 1, 1),
        **_norm_act("level2_merge.0", 2 * wide),
        **_esp("level2_merge.1", 2 * wide, wide, config.branches, 1),
        "level2_up.0.weight": (wide, wide, 2, 2),
        **_norm_act("level2_up.1", wide),
        "level1_merge.0.weight": (wide, wide + skip, 3, 3),
        **_norm_act("level1_merge.1", wide),
        "level1_up.weight": (wide, config.classes, 2, 2),
    }


def _chain(name: str, channels: int, count: int, branches: int) -> Shapes:
    found: Shapes = {}
    for number in range(count):
        found |= _esp(f"{name}.{number}", channels, channels, branches, 1)
    return found


def _esp(name: str, inputs: int, outputs: int, branches: int, size: int) -> Shapes:
    """Return the tensors of an ESP module whose reduction is `size` x `size`."""
    thin = outputs // branches
    widths = [outputs - (branches - 1) * thin] + [thin] * (branches - 1)
    return {
        f"{name}.reduce.weight": (thin, inputs, size, size),
        **{f"{name}.branches.{k}.weight": (width, thin, 3, 3) for k, width in enumerate(widths)},
        **_norm_act(f"{name}.norm_act", outputs),
    }


def _norm_act(name: str, channels: int) -> Shapes:
    return {**_norm(f"{name}.0", channels), f"{name}.1.weight": (channels,)}


def _norm(name: str, channels: int) -> Shapes:
    found: Shapes = {f"{name}.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", VARIANCE)}
    return found | {f"{name}.{COUNTER}": ()}


def _under(name: str, shapes: Shapes) -> Shapes:
    return {f"{name}.{own}": shape for own, shape in shapes.items()}

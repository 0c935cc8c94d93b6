"""The ESPNet authors' names of tensors, and ours: which network they make, and where each tensor goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wsi_seg.errors import ModelError
from wsi_seg.models.bounded import fault_of
from wsi_seg.models.espnet_config import LEVEL1, RGB, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

    from wsi_seg.models.espnet import ESPNet


def infer_config(path: Path, state: Mapping[str, Tensor]) -> ESPNetConfig:
    """Infer the network's config from the names and shapes of its tensors.

    Raises
    ------
    ModelError
        If a tensor that is needed is missing, or its shape fits no ESPNet.
    """
    full = any(key.startswith("encoder.") for key in state)
    encoder = "encoder." if full else ""

    def shape(name: str) -> torch.Size:
        if name not in state or state[name].dim() != 4:
            raise ModelError(
                f"{path}: not an ESPNet: {name} is missing: give a checkpoint of the authors' code"
            )
        return state[name].shape

    def count(pattern: str) -> int:
        return len({match[1] for key in state if (match := re.match(re.escape(encoder) + pattern, key))})

    head = shape(f"{encoder}classifier.conv.weight")[0]
    skip = shape("conv.conv.weight")[1] - head if full else LEVEL1
    try:
        if skip not in (LEVEL1, LEVEL1 + RGB):
            raise ValueError(f"its decoder takes {skip} channels of level 1, not {LEVEL1} or {LEVEL1 + RGB}")
        return ESPNetConfig(
            classes=shape("classifier.weight")[1] if full else head,
            p=count(r"level2\.(\d+)\."),
            q=count(r"level3\.(\d+)\."),
            branches=count(r"level2_0\.(d\d+)\."),
            variant="full" if full else "C",
            decoder_width=head,
            decoder_skip="level1" if skip == LEVEL1 else "reinforced",
        )
    except ValueError as error:
        raise ModelError(
            f"{path}: not an ESPNet ({error}): give a checkpoint of the authors' code"
        ) from error


def translate(path: Path, state: Mapping[str, Tensor], network: ESPNet) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors for `network`, each used exactly once.

    Counters of batches, which old PyTorch did not save and inference does not need, may be absent.

    Raises
    ------
    ModelError
        Naming the first tensor that is missing, left over, of another shape, or not finite.
    """
    theirs = upstream_names(network.config)
    translated: dict[str, Tensor] = {}
    left_over = set(state)
    for ours, expected in network.state_dict().items():
        module, leaf = ours.rsplit(".", 1)
        key = f"{theirs[module]}.{leaf}"
        if key not in state:
            if leaf == "num_batches_tracked":
                translated[ours] = expected
                continue
            raise ModelError(f"{path}: {key} is missing: get the whole checkpoint")
        tensor = state[key]
        if tensor.shape != expected.shape:
            raise ModelError(
                f"{path}: not the authors' ESPNet: {key} is {tuple(tensor.shape)}, "
                f"not {tuple(expected.shape)}"
            )
        if fault := fault_of(key, tensor):
            raise ModelError(f"{path}: {key} holds {fault}: get another checkpoint")
        left_over.remove(key)
        translated[ours] = tensor.to(expected.dtype)
    if left_over:
        raise ModelError(f"{path}: not the authors' ESPNet, which has no {min(left_over)}")
    return translated


def upstream_names(config: ESPNetConfig) -> dict[str, str]:
    """Map the name of each of our modules that holds weights to its name in the authors' state dict."""
    names = {
        "level1.0": "level1.conv",
        **_norm_act("level1.1", "level1"),
        **_norm_act("level1_merge", "b1"),
        **_esp("level2_down", "level2_0", config.branches, strided=True),
        **_norm_act("level2_merge", "b2"),
        **_esp("level3_down", "level3_0", config.branches, strided=True),
        **_norm_act("level3_merge", "b3"),
        "head": "classifier.conv",
    }
    for level, count in (("level2", config.p), ("level3", config.q)):
        for i in range(count):
            names |= _esp(f"{level}.{i}", f"{level}.{i}", config.branches)
    if config.variant != "full":
        return {f"encoder.{ours}": theirs for ours, theirs in names.items()}
    decoder = {
        "level3_up.0": "br",
        "level3_up.1": "up_l3.0",
        "level2_reduce": "level3_C.conv",
        **_norm_act("level2_merge.0", "combine_l2_l3.0"),
        **_esp("level2_merge.1", "combine_l2_l3.1", config.branches),
        "level2_up.0": "up_l2.0",
        **_norm_act("level2_up.1", "up_l2.1"),
        "level1_merge.0": "conv.conv",
        **_norm_act("level1_merge.1", "conv"),
        "level1_up": "classifier",
    }
    return {f"encoder.{ours}": f"encoder.{theirs}" for ours, theirs in names.items()} | {
        f"decoder.{ours}": theirs for ours, theirs in decoder.items()
    }


def _norm_act(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.0": f"{theirs}.bn", f"{ours}.1": f"{theirs}.act"}


def _esp(ours: str, theirs: str, branches: int, strided: bool = False) -> dict[str, str]:
    convolutions = {f"{ours}.branches.{k}": f"{theirs}.d{2**k}.conv" for k in range(branches)}
    norm_act = _norm_act(f"{ours}.norm_act", theirs if strided else f"{theirs}.bn")
    return {f"{ours}.reduce": f"{theirs}.c1.conv"} | convolutions | norm_act

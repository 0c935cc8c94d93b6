"""Checkpoints of the ESPNet authors: the only place where a pickle is read, and only for tensors.

https://github.com/sacmehta/ESPNet saves plain state dicts, of the full network or of ESPNet-C. The network's
config is inferred from their shapes. Names are translated to ours, and every tensor must be used once.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bounded import check_packed, fault_of, held_in, no_larger_than
from wsi_seg.models.bundle import InputSpec, ModelHeader
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import LEVEL1, RGB, ESPNet, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wsi_seg.models.classes import ClassSchema

WITH_VOID = {"cityscapes": "cityscapes-void", "camvid": "camvid-void"}
"""The schemas of the authors' networks, which learned to predict void as one additional class."""

CITYSCAPES_INPUT = InputSpec(
    channels="bgr",
    mean=(72.392, 82.909, 73.158),
    std=(45.319, 46.153, 44.915),
    scale=255.0,
    size=(1024, 512),
)
"""How the authors prepare a Cityscapes image: OpenCV's channel order, and an additional division by 255."""

CAMVID_INPUT = CITYSCAPES_INPUT.model_copy(
    update={"mean": (108.6, 104.7, 101.1), "std": (72.2, 72.8, 70.0), "size": (480, 360)}
)
"""The same for CamVid in SegNet's version."""

INPUTS = {
    **dict.fromkeys(("cityscapes", "cityscapes-void"), CITYSCAPES_INPUT),
    **dict.fromkeys(("camvid", "camvid-void"), CAMVID_INPUT),
}
"""The input of the authors' networks, by their class schemas' names."""

LOAD_ERRORS = (
    pickle.UnpicklingError,
    SafetensorError,  # torch tries that format if the file's name suggests it
    RuntimeError,
    EOFError,
    ValueError,  # UnicodeDecodeError too
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    zipfile.BadZipFile,
)
"""What `torch.load` raises for files that are not checkpoints."""


@dataclass(frozen=True)
class InputOverrides:
    """What the caller knows about a checkpoint's input; None keeps the default. Fields as in `InputSpec`."""

    channels: Literal["rgb", "bgr"] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    scale: float | None = None
    mpp: float | None = None
    size: tuple[int, int] | None = None


def import_checkpoint(
    path: Path, schema: ClassSchema, overrides: InputOverrides | None = None, name: str | None = None
) -> tuple[ESPNet, ModelHeader]:
    """Read a checkpoint of the authors' ESPNet; `wsi_seg.models.bundle.save_bundle` takes the result.

    Parameters
    ----------
    path : Path
        A state dict as saved by `torch.save`, of the full network or of ESPNet-C.
    schema : ClassSchema
        The classes of its output channels, in order. For Cityscapes and CamVid, void is added where the
        network has it.
    overrides : InputOverrides, optional
        Input that differs from the default. Only the schemas of Cityscapes and CamVid have a default mean
        and std.
    name : str, optional
        The model's name; the file's by default.

    Returns
    -------
    network : ESPNet
        In eval mode.
    header : ModelHeader
        Its description, with the checkpoint's hash as provenance.

    Raises
    ------
    ModelError
        If the file can't be read, or is not exactly an ESPNet of as many classes as the schema.
    UsageError
        If mean and std are needed and not given, or the overrides give no valid input.
    """
    spec = input_spec(schema, overrides or InputOverrides())
    state = read_state_dict(path)
    config = infer_config(path, state)
    if schema.name in WITH_VOID and config.classes == len(schema) + 1:
        schema = load_schema(WITH_VOID[schema.name])
    if config.classes != len(schema):
        raise ModelError(
            f"{path}: a network of {config.classes} classes, but the schema {schema.name!r} has "
            f"{len(schema)}: name the schema that it was trained with"
        )
    try:
        with no_larger_than(sum(held_in(tensor) for tensor in state.values())):
            network = ESPNet(config)
    except ValueError as error:
        raise ModelError(f"{path}: not the authors' ESPNet: {error}: get the whole checkpoint") from error
    network.load_state_dict(translate(path, state, network))
    header = ModelHeader(
        name=name or path.stem,
        architecture=architecture_of(config),
        classes=schema,
        input=spec,
        training={
            "source": "imported from a checkpoint of the ESPNet authors' code",
            "checkpoint": path.name,
            "checkpoint_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    )
    return network.eval(), header


def input_spec(schema: ClassSchema, overrides: InputOverrides) -> InputSpec:
    """Complete `overrides` with the authors' input for these classes, or with their defaults for other data.

    Raises
    ------
    UsageError
        If mean or std is missing, or a number makes no sense.
    """
    given = {f.name: value for f in fields(overrides) if (value := getattr(overrides, f.name)) is not None}
    if schema.name in INPUTS:
        defaults = INPUTS[schema.name].model_dump()
    elif "mean" in given and "std" in given:
        defaults = {"channels": CITYSCAPES_INPUT.channels, "scale": CITYSCAPES_INPUT.scale}
    else:
        raise UsageError(
            f"mean and std of the images behind the schema {schema.name!r} are not known: "
            "give --mean and --std as in training, on a scale of 0 to 255"
        )
    try:
        return InputSpec.model_validate(defaults | given)
    except ValueError as error:
        raise UsageError(f"the input is not valid: {' '.join(str(error).split())}") from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without running any code in it.

    Raises
    ------
    ModelError
        If the file can't be read or holds anything but named tensors.
    """
    try:
        check_packed(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): give a checkpoint's path") from error
    except LOAD_ERRORS as error:
        raise ModelError(
            f"{path}: not a checkpoint that is safe to read: give a PyTorch state dict (.pth)"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ModelError(f"{path}: holds no state dict: save the network's `state_dict()` and import that")
    return {str(key).removeprefix("module."): tensor for key, tensor in loaded.items()}


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

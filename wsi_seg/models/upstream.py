"""Checkpoints of the ESPNet authors: the only place where a pickle is read, and only for tensors.

https://github.com/sacmehta/ESPNet saves plain state dicts, of the full network or of ESPNet-C. The network's
config is inferred from their shapes. Names are translated to ours, and every tensor must be used once.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from wsi_seg.errors import ModelError, UsageError, explain
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bounded import check_packed, held_in, no_larger_than
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.upstream_names import infer_config, translate

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

    def over(self, defaults: Mapping[str, object]) -> InputSpec:
        """Return the input of these values, and of defaults for those that are None.

        Raises
        ------
        UsageError
            If a value makes no sense.
        """
        given = {name: value for name, value in vars(self).items() if value is not None}
        try:
            return InputSpec.model_validate({**defaults, **given})
        except ValidationError as error:
            where, _, said = explain(error).partition(": ")
            raise UsageError(f"--{where.partition('.')[0]}: {said}") from error


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
    state = read_state_dict(path)
    spec = input_spec(schema, overrides or InputOverrides())
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
    if schema.name in INPUTS:
        defaults = INPUTS[schema.name].model_dump()
    elif overrides.mean is not None and overrides.std is not None:
        defaults = {"channels": CITYSCAPES_INPUT.channels, "scale": CITYSCAPES_INPUT.scale}
    else:
        raise UsageError(
            f"mean and std of the images behind the schema {schema.name!r} are not known: "
            "give --mean and --std as in training, on a scale of 0 to 255"
        )
    return overrides.over(defaults)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without running any code in it.

    Raises
    ------
    ModelError
        If the file can't be read or holds anything but named tensors.
    """
    try:
        check_packed(path)
        with warnings.catch_warnings():  # of pickles that PyTorch did not write: what is wrong is said below
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
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

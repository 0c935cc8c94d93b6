"""Export models for other programs: an ONNX or TorchScript file, and a description beside it.

The exported network takes normalised RGB images, float32, (N, 3, H, W) with any sides that fit the network,
and returns logits at full size. The normalisation is in `NAME.config.json`, in the format of the WSInfer
model zoo (https://github.com/SBU-BMI/wsinfer-zoo, model-config.schema.json), whose programs apply it. The
exported file also holds the whole header of the model file. Negligible weights are 0 there, as in `predict`:
with them other programs would be many times slower.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.files.files import replacing, write_text, writing
from wsi_seg.models.negligible import clear
from wsi_seg.models.network import ENCODER_STRIDE
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.stripped import strip_onnx, strip_torchscript
from wsi_seg.packages import ImportFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from onnx_ir import Value
    from pydantic import JsonValue

    from wsi_seg.models.bundle import ModelBundle

Format = Literal["onnx", "torchscript"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torchscript": ".pt"}
CONFIG_SUFFIX = ".config.json"
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
HEADER_KEY = "wsi_seg"
"""Name of the header in an exported file: ONNX metadata, or an extra file of TorchScript."""

EXAMPLE = (2, 5, 7)
"""Number of images, height and width for tracing a network; the sides are in units of its multiple. Their
maps need padding before they are pooled if any sides do. So the padding is part of the graph, and adds
nothing to sides that need none."""

CHECKED = ((1, 8, 12), (3, 5, 9), (1, 1, 2), (2, 16, 16))
"""Likewise, the image for which an exported network must give the same logits."""

TOLERANCE = 1e-3
"""Largest accepted difference, as a share of the largest logit; other programs sum in another order."""

POOL = torch.ops.aten.adaptive_avg_pool2d.default


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes
    ----------
    difference : float
        Largest difference between the logits here and of the exported network, as a share of the largest
        logit.
    config : Path or None
        The description beside it; None for a model without a resolution, which the format cannot express.
    """

    difference: float
    config: Path | None


class Exportable(nn.Module):
    """A model's network for other programs: RGB in, whatever its channel order; full-size logits out."""

    def __init__(self, bundle: ModelBundle) -> None:
        super().__init__()
        self.network = bundle.network
        self.flip = bundle.input.channels == "bgr"

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W), normalised -> (N, classes, H, W)."""
        logits: Tensor = self.network(image.flip(1) if self.flip else image)
        if self.network.output_stride == 1:
            return logits
        size = (image.shape[-2], image.shape[-1])
        return functional.interpolate(logits, size, mode="bilinear", align_corners=False)


def export_model(bundle: ModelBundle, path: Path, kind: Format, patch: int) -> Exported:
    """Write a model's network for other programs, after a check that it gives the same logits as here.

    Parameters
    ----------
    bundle : ModelBundle
    path : Path
        Where to write; an older file, and the description beside it, are replaced.
    kind : {"onnx", "torchscript"}
    patch : int
        Side of a patch in pixels, as the description recommends it; the exported network takes any.

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        If a package is missing, or broken.
    ModelError
        If the exported network gives other logits; nothing is written then.
    OutputError
        If the files can't be written.
    """
    if isinstance(bundle.network, OnnxNet):
        raise UsageError(f"{bundle.path}: its network came as an ONNX file: use that one")
    network = Exportable(bundle).eval()
    lean = copy.deepcopy(network)
    clear(lean)
    header, multiple = bundle.header.model_dump_json(), bundle.network.config.multiple
    with replacing(path) as partial:
        if kind == "onnx":
            write_onnx(lean, partial, header, multiple)
            run = open_onnx(partial)
        else:
            write_torchscript(lean, partial, header, multiple)
            run = open_torchscript(partial)
        difference = difference_of(network, run, multiple)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"{path}: not written: its logits are off the model's by {difference:.2g} of the largest: "
                "use another --format, and report this"
            )
    config = config_beside(path)
    if bundle.input.mpp is None:
        with writing(config):
            config.unlink(missing_ok=True)  # of an earlier export
        return Exported(difference, None)
    write_text(config, description(bundle, patch))
    return Exported(difference, config)


def images_of(size: tuple[int, int, int], multiple: int) -> tuple[int, int, int, int]:
    """Return the shape of RGB images whose height and width are given in units of a multiple, 8 or more."""
    images, rows, columns = size
    unit = max(multiple, ENCODER_STRIDE)
    return images, 3, rows * unit, columns * unit


def config_beside(path: Path) -> Path:
    """Return the path of an exported network's description: each network in a folder has its own."""
    return path.with_suffix(CONFIG_SUFFIX)


def description(bundle: ModelBundle, patch: int) -> str:
    """Return the description as JSON; it does not depend on the export format."""
    return json.dumps(describe(bundle, patch), indent=2, ensure_ascii=False) + "\n"


def describe(bundle: ModelBundle, patch: int) -> dict[str, JsonValue]:
    """Describe a network as the WSInfer model zoo does, version 1.0."""
    spec = bundle.input
    step = -1 if spec.channels == "bgr" else 1
    return {
        "spec_version": "1.0",
        "architecture": bundle.architecture.config.title,
        "num_classes": len(bundle.schema),
        "patch_size_pixels": patch,
        "spacing_um_px": spec.mpp,
        "class_names": [c.name for c in bundle.schema.classes],
        "transform": [
            {"name": "ToTensor"},  # divides by 255
            {
                "name": "Normalize",
                "arguments": {
                    "mean": [mean / 255 for mean in list(spec.mean)[::step]],
                    "std": [std * spec.scale / 255 for std in list(spec.std)[::step]],
                },
            },
        ],
    }


def write_torchscript(network: nn.Module, path: Path, header: str, multiple: int) -> None:
    """Trace a network; the graph works for any size, as it computes sizes from its tensors."""
    example = images_of(EXAMPLE, multiple)
    with _quietly(), torch.no_grad():
        script = torch.jit.trace(network, torch.zeros(example), check_trace=False)  # type: ignore[no-untyped-call]
        content = io.BytesIO()  # PyTorch's own writer ends the process if the disk is full
        torch.jit.save(script, content, _extra_files={HEADER_KEY: header})
        path.write_bytes(strip_torchscript(content.getvalue()))


def open_torchscript(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a function that runs an exported network."""
    with _quietly():
        return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-any-return, no-untyped-call]


def write_onnx(network: nn.Module, path: Path, header: str, multiple: int) -> None:
    """Write a network as ONNX, with its weights inside.

    Raises
    ------
    UsageError
        If a package is missing, or broken.
    """
    try:
        with _quietly():
            for package in ONNX_PACKAGES:
                import_module(package)
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "onnx")
        raise UsageError(f"ONNX needs {fault.package}, which {fault.says}") from error
    batch, rows, columns = (torch.export.Dim(name, min=1, max=4096) for name in ("batch", "rows", "columns"))
    sizes = ({0: batch, 2: multiple * rows, 3: multiple * columns},)
    example = images_of(EXAMPLE, multiple)
    with _quietly(), torch.no_grad():
        program = torch.export.export(network, (torch.zeros(example),), dynamic_shapes=sizes)
        if any(node.target is POOL for node in program.graph.nodes):
            program = program.run_decompositions({POOL: average})
        onnx = torch.onnx.export(
            program, input_names=["image"], output_names=["logits"], dynamo=True, verbose=False
        )
        assert onnx is not None
        for value in (*onnx.model.graph.inputs, *onnx.model.graph.outputs):
            _name_axes(value)
        onnx.model.metadata_props[HEADER_KEY] = header
        model = onnx.model_proto
        strip_onnx(model, HEADER_KEY)
        path.write_bytes(model.SerializeToString(deterministic=True))


def _name_axes(value: Value) -> None:
    """Name the axes of any size, which have only numbers."""
    assert value.shape is not None
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        value.shape[axis] = name


def open_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a function that runs an exported network."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(["logits"], {"image": image.numpy()})[0])


@torch.no_grad()
def difference_of(network: nn.Module, exported: Callable[[Tensor], Tensor], multiple: int) -> float:
    """Return the difference of two networks' logits as a share of the largest; inf for other shapes."""
    generator = torch.Generator().manual_seed(0)
    shares = []
    for size in CHECKED:
        image = torch.randn(images_of(size, multiple), generator=generator)
        expected, found = network(image), exported(image)
        if found.shape != expected.shape:
            return float("inf")
        shares.append((found - expected).abs().max() / expected.abs().max())
    return torch.stack(shares).max().item()  # NaN if any is NaN


def average(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """Pool a map to cells as `adaptive_avg_pool2d` does, by the same operations for any size.

    PyTorch's exporter chooses operations by whether the sides are multiples of the cells.
    """

    def shares(side: int, cells: int) -> Tensor:
        """Return each pixel's share of each cell, (cells, side); cells overlap by a pixel where necessary."""
        cell = torch.arange(cells, device=x.device)[:, None]
        pixel = torch.arange(side, device=x.device)
        first, end = cell * side // cells, -(-(cell + 1) * side // cells)
        return ((pixel >= first) & (pixel < end)).to(x.dtype) / (end - first).to(x.dtype)

    rows, columns = (shares(*each) for each in zip(x.shape[-2:], output_size, strict=True))
    return rows @ (x @ columns.transpose(0, 1))


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide the exporters' messages for developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

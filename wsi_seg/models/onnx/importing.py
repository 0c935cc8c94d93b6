"""Make a model from an ONNX file: check it, try it, and measure how far it sees."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.header import ModelHeader
from wsi_seg.models.onnx.graph import read_graph
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.onnx.onnx_session import in_words
from wsi_seg.models.onnx.ports import Stated
from wsi_seg.models.onnx.probe import find_out, pixels_of
from wsi_seg.models.reach import NARROW, RUNS, SIDE, measure_reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.onnx.onnx_config import OnnxConfig
    from wsi_seg.models.reach import Reach
    from wsi_seg.models.upstream import InputOverrides

    Heard = Callable[[int, int, float], None]


def import_onnx(
    path: Path,
    schema: ClassSchema,
    overrides: InputOverrides,
    stated: Stated | None = None,
    name: str | None = None,
    report: Heard | None = None,
) -> tuple[OnnxNet, ModelHeader]:
    """Make a model from an ONNX file; `wsi_seg.models.bundle.save_bundle` takes the result.

    Parameters
    ----------
    path : Path
    schema : ClassSchema
        The classes of its output channels, in order. For a network of one channel, a pixel is of the second
        class if its probability is above 0.5.
    overrides : InputOverrides
        The input that it was trained on: mean and std are needed, channels are RGB by default.
    stated : Stated, optional
        Properties that need not be found by trying.
    name : str, optional
        The model's name; the file's by default.
    report : callable, optional
        Receives the progress of trial runs: how many are done, of how many, and the megapixels of one.

    Returns
    -------
    network : OnnxNet
    header : ModelHeader
        Its description, with the file's hash as provenance.

    Raises
    ------
    ModelError
        If the file is refused, or its network does not map an image to scores for as many classes.
    UsageError
        If a property must be stated, or a package is missing.
    """
    spec = _input(path, overrides)
    graph = read_graph(path)
    config = find_out(path, graph, spec, len(schema), stated or Stated())
    reach = _measured(path, _network(config, graph.data), spec, report)
    config = replace(config, reach=reach.pixels)
    header = ModelHeader(
        name=name or path.stem,
        architecture=architecture_of(config),
        classes=schema,
        input=spec,
        training={
            "source": "imported from an ONNX file",
            "file": path.name,
            "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "written_by": graph.producer,
            "tried_by": in_words("cpu"),
            "reach": _reach(reach),
        },
    )
    return _network(config, graph.data).eval(), header


def _input(path: Path, overrides: InputOverrides) -> InputSpec:
    if overrides.mean is None or overrides.std is None:
        raise UsageError(
            f"{path}: an ONNX file does not state how pixels are normalised: give --mean and --std as in "
            "training (0,0,0 and 1,1,1 if there was none), and --range"
        )
    return overrides.over({"channels": "rgb"})


def _measured(path: Path, network: OnnxNet, spec: InputSpec, report: Heard | None) -> Reach:
    """Measure a network's reach, on images of its fixed size if it has one."""
    side = network.config.side
    megapixels = (side or SIDE) * (side or SIDE // NARROW) / 1e6
    done = 0

    def segment(noise: Tensor) -> Tensor:
        nonlocal done
        logits: Tensor = network(pixels_of(noise, spec))
        done += 1
        if report:
            report(done, RUNS, megapixels)
        return logits

    if report:
        report(0, RUNS, megapixels)
    try:
        return measure_reach(segment, side or SIDE, square=side is not None)
    except ValueError as error:
        raise ModelError(f"{path}: {error}: export it in float32") from error


def _network(config: OnnxConfig, data: bytes) -> OnnxNet:
    network = OnnxNet(config)
    network.graph = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
    return network


def _reach(reach: Reach) -> str:
    return f"{reach}; of the pixels further away {reach.flips:.2%} change class when all beyond a line does"

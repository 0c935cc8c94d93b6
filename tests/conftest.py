"""Fixtures that the whole suite shares."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from helpers.networks import layer
from hypothesis import settings
from numpy.typing import NDArray
from torch import nn

from wsi_seg.compiled.build import find_compiler
from wsi_seg.errors import KernelsError
from wsi_seg.inference.fast.library import has_amx, load_kernels
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of ours
settings.load_profile("untimed")

SCHEMA = ClassSchema(
    name="three",
    background="Glass",
    classes=(
        TissueClass(id=0, name="Glass", color=(255, 255, 255)),
        TissueClass(id=1, name="Stroma", color=(255, 150, 255)),
        TissueClass(id=2, name="Tumour", color=(0, 0, 130)),
    ),
)


# A suite that is started in the background, as by `make test &`, has Ctrl-C ignored, and so have all programs
# that it starts: tests of an interruption would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Put the handlers of signals back: the program, called in this process, leaves its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def open_loggers() -> Iterator[None]:
    """See that a test leaves the package's loggers as they were: what others set up may disable them all."""
    yield
    names = [name for name in logging.root.manager.loggerDict if name.startswith("wsi_seg")]
    assert not any(logging.getLogger(name).disabled for name in names), (
        "this test disabled loggers for all others"
    )


@pytest.fixture(scope="session")
def kernels() -> None:
    """See that the compiled kernels are there; tests that need them skip where there is no compiler."""
    try:
        find_compiler()
    except KernelsError as error:
        pytest.skip(f"ESPNet cannot be compiled here: {error}")
    load_kernels()


@pytest.fixture(params=[False, True], ids=["vectors", "amx"])
def by_amx(request: pytest.FixtureRequest, kernels: None) -> bool:
    """Whether AMX computes convolutions: both, where the processor has it."""
    chosen: bool = request.param
    if chosen and not has_amx():
        pytest.skip("this processor has no AMX")
    return chosen


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real slides, checkpoints and annotations; tests that need it skip where it is absent."""
    named = os.environ.get("WSI_SEG_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data absent: set WSI_SEG_DATA to the folder that holds slides/, espnet/, ...")
    return folder


def write_tiff(path: Path, rgb: NDArray[np.uint8], mpp: float | None = 2.0, levels: int = 1) -> Path:
    """Write a tiled TIFF that OpenSlide opens; deflate, so that pixels come back as they are."""
    resolution = None if mpp is None else (1e4 / mpp, 1e4 / mpp)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(levels):
            step = 2**level
            tiff.write(
                rgb[::step, ::step],
                tile=(128, 128),
                photometric="rgb",
                compression="deflate",
                subfiletype=1 if level else 0,
                resolution=None if resolution is None else (resolution[0] / step, resolution[1] / step),
                resolutionunit="NONE" if resolution is None else "CENTIMETER",
                metadata=None,
            )
    return path


def damage_tile(path: Path, tile: int) -> Path:
    """Overwrite one tile of a TIFF, counted from the top left, so that it cannot be decoded."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * count)
    return path


def tissue_rgb(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make a picture with smooth blobs in the colours of stained tissue, everywhere."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 16 + 2, width // 16 + 2, 2))
    fine = np.kron(coarse, np.ones((16, 16, 1)))[:height, :width]
    noise = rng.integers(-20, 20, (height, width, 3))
    pink, purple = np.array([225, 150, 200]), np.array([110, 60, 150])
    mix = fine[..., :1] * pink + (1 - fine[..., :1]) * purple
    rgb: NDArray[np.uint8] = np.clip(mix + noise, 0, 255).astype(np.uint8)
    return rgb


def write_model(path: Path, constant: int | None = None, seed: int = 0) -> Path:
    """Write a small model for slides at 2 um per pixel: untrained, or one that always gives one class."""
    torch.manual_seed(seed)
    # Without the decoder an untrained network gives blobs, with it speckles, which no trained one does.
    config = ESPNetConfig(classes=len(SCHEMA), p=1, q=1, variant="C" if constant is None else "full")
    network = ESPNet(config)
    if constant is not None:
        assert network.decoder is not None
        norm = layer(network.decoder, "level1_merge.1.0", nn.BatchNorm2d)
        torch.nn.init.zeros_(norm.weight)
        torch.nn.init.ones_(norm.bias)
        torch.nn.init.zeros_(network.decoder.level1_up.weight)
        with torch.no_grad():
            network.decoder.level1_up.weight[:, constant] = 1
    header = ModelHeader(
        name="test",
        architecture=architecture_of(config),
        classes=SCHEMA,
        input=InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0),
    )
    save_bundle(path, network, header)
    return path


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained model: three classes, 2 um per pixel."""
    return write_model(tmp_path_factory.mktemp("model") / "test.safetensors")


@pytest.fixture(scope="session")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 700 x 500 px at 2 um per pixel, tissue everywhere."""
    return write_tiff(tmp_path_factory.mktemp("slide") / "tissue.tiff", tissue_rgb(500, 700))

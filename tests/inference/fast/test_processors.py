"""Compiled for one processor or another, the kernels give the same bytes."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import tissue_rgb
from helpers.networks import fast_espnet

from wsi_seg.compiled import build
from wsi_seg.errors import KernelsError
from wsi_seg.inference.fast import library
from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec

NEEDED = {
    "x86-64-v2": {"sse4_2", "ssse3", "popcnt"},
    "x86-64-v3": {"avx2", "fma", "bmi2"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "armv8-a": {"asimd"},
    "armv8.2-a+sve": {"sve"},
}
"""Processors by the names that compilers know them by, and what /proc/cpuinfo says of those that can run for
them."""

SPEC = InputSpec(channels="bgr", mean=(180.0, 150.0, 190.0), std=(50.0, 55.0, 45.0))

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WSI_SEG_CACHE", str(tmp_path))
    load_kernels.cache_clear()
    yield
    load_kernels.cache_clear()


def compile_for(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "NATIVE", f"-march={processor}")
    load_kernels.cache_clear()


def computed(name: str) -> str:
    """A hash of the logits and classes of pictures, one of a width that no vector divides."""
    torch.manual_seed(0)
    network = ESPNet(ESPNetConfig(classes=5, variant=name)).eval()  # type: ignore[arg-type]
    fast, digest = fast_espnet(network, SPEC), hashlib.sha256()
    for height, width in ((64, 96), (40, 104)):
        rgb = tissue_rgb(height, width)
        digest.update(fast.logits(rgb).tobytes())
        if name == "full":
            digest.update(fast.best(rgb, 8).tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    """What the kernels compute as compiled for this very processor."""
    return {name: computed(name) for name in ("full", "C")}


@pytest.mark.parametrize("processor", NEEDED)
def test_the_same_bytes_on_every_processor(
    processor: str, here: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not NEEDED[processor] <= set(build._processor().split()):
        pytest.skip(f"this {platform.machine()} runs no code for {processor}")
    compile_for(processor, monkeypatch)
    # Where a processor has no such step, the library is refused; what it would compute is the same still.
    monkeypatch.setattr(library, "_fuses", lambda _: True)
    assert {name: computed(name) for name in here} == here


def test_one_that_does_not_fuse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip("all other processors that are told apart fuse")
    compile_for("x86-64-v2", monkeypatch)
    with pytest.raises(KernelsError, match="does not multiply and add in one step"):
        load_kernels()

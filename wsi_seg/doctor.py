"""A look at the installation: versions, devices, and whether the main parts work."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

from wsi_seg import __version__
from wsi_seg.errors import KernelsError, WsiSegError

PACKAGES = ("numpy", "zarr", "dask", "distributed", "shapely", "scikit-image", "tifffile")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    A finding that is not good has a remedy; a good one may have advice in its place.
    """

    what: str
    good: bool
    says: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything that `wsi-seg predict` needs."""
    return [
        Finding(
            "wsi-seg", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
        ),
        *_torch(),
        _kernels(),
        _openslide(),
        Finding("packages", True, ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)),
        _models(),
        Finding(
            "machine",
            True,
            f"{platform.platform()}, {os.cpu_count()} cores, {_memory_gib():.1f} GiB of memory",
        ),
    ]


def _torch() -> list[Finding]:
    import torch

    findings = [Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        findings.append(Finding("GPU", True, ", ".join(names)))
    else:
        findings.append(
            Finding(
                "GPU",
                True,
                "none that PyTorch can use: slides run on the CPU",
                "with an NVIDIA GPU: install its driver, and a CUDA build of torch (see pytorch.org)",
            )
        )
    return findings


def _kernels() -> Finding:
    from wsi_seg.inference.fast.library import load_kernels
    from wsi_seg.slides.area import load_area

    try:
        load_area()
        load_kernels()
    except KernelsError as error:
        return Finding("kernels", True, f"none, so networks run and slides are read more slowly: {error}")
    return Finding("kernels", True, "compiled for this processor")


def _openslide() -> Finding:
    import openslide

    return Finding("openslide", True, f"{openslide.__library_version__}, Python {openslide.__version__}")


def _models() -> Finding:
    from wsi_seg.models.bundle import builtin_models, load_bundle

    models = builtin_models()
    if not models:
        return Finding("models", False, "no built-in model", "install wsi-seg again: its wheel carries one")
    try:
        for path in models.values():
            load_bundle(path)
    except WsiSegError as error:
        return Finding("models", False, str(error), "install wsi-seg again")
    return Finding("models", True, f"built in: {', '.join(models)}")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30

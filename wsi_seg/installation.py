"""A look at the installation: versions, devices, and whether the main parts work."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg import __version__
from wsi_seg.errors import KernelsError, WsiSegError
from wsi_seg.files.plain_files import in_words
from wsi_seg.packages import ImportFault
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGES = ("numpy", "zarr", "dask", "distributed", "shapely", "scikit-image", "tifffile")

AGAIN = "install wsi-seg again"

EXTRA = re.compile(r"""([\w.-]+).*\bextra == ['"]([\w-]+)['"]""")
"""A requirement of an extra, as the metadata of packages have it."""

FOR_DEVELOPERS = {"dev", "docs"}

ABILITIES = (
    *("fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "sve", "sve2", "bf16"),
)
"""Of processors, as Linux names them: those that networks run faster by."""

LIMITS = {"open files": "RLIMIT_NOFILE", "processes": "RLIMIT_NPROC", "address space": "RLIMIT_AS"}


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
    """Look at everything that `wsi-seg predict` needs, and at what errors often come from."""
    looks = (_ours, _torch, _kernels, _openslide, _packages, _extras, _models, _machine, _limits, _folders)
    findings = [finding for look in looks for finding in _found(look)]
    return [replace(f, says=_from_home(f.says), remedy=_from_home(f.remedy)) for f in findings]


def _found(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Look at a part, which may not even be there."""
    try:
        return list(look())
    except ImportError as error:
        return [Finding(look.__name__.strip("_"), False, f"cannot be imported ({error})", AGAIN)]
    except Exception as error:  # a broken installation may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding(look.__name__.strip("_"), False, f"does not work ({said})", AGAIN)]


def _ours() -> Iterator[Finding]:
    yield Finding(
        "wsi-seg", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
    )


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("torch", True, f"{torch.__version__}, {counted(torch.get_num_threads(), 'threads')}")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("GPU", True, ", ".join(names))
    else:
        yield Finding(
            "GPU",
            True,
            "none that PyTorch can use: slides run on the CPU",
            "with an NVIDIA GPU: install its driver, and a CUDA build of torch (see pytorch.org)",
        )


def _kernels() -> Iterator[Finding]:
    from wsi_seg.compiled.carried import find_shipped
    from wsi_seg.inference.fast.library import SOURCE, has_amx, load_kernels
    from wsi_seg.slides.area import load_area

    try:
        load_area()
        load_kernels()
    except KernelsError as error:
        yield Finding("kernels", True, f"none, so networks run and slides are read more slowly: {error}")
    else:
        shipped = find_shipped(SOURCE)
        made = "compiled for this processor" if shipped is None else f"the wheel's, for {shipped.parent.name}"
        yield Finding("kernels", True, f"{made}; convolutions by AMX" if has_amx() else made)


def _openslide() -> Iterator[Finding]:
    import openslide

    yield Finding("openslide", True, f"{openslide.__library_version__}, Python {openslide.__version__}")


def _packages() -> Iterator[Finding]:
    versions = {name: _version(name) for name in PACKAGES}
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    missing = ", ".join(name for name, version in versions.items() if not version)
    yield Finding("packages", not missing, there, f"missing: {missing}: {AGAIN}" if missing else "")


def _extras() -> Iterator[Finding]:
    """Say which extras are there, and what the others lack."""
    try:
        required = metadata.requires("wsi-seg") or []
    except metadata.PackageNotFoundError:
        yield Finding("extras", True, "unknown, as wsi-seg was not installed by pip or the like")
        return
    asked: dict[str, list[str]] = {}
    for found in filter(None, map(EXTRA.match, required)):
        if found[2] not in FOR_DEVELOPERS:
            asked.setdefault(found[2], []).append(found[1])
    lacking = {extra: [name for name in names if not _version(name)] for extra, names in asked.items()}
    there = [extra for extra, missing in lacking.items() if not missing]
    others = [
        f"{extra} lacks {', '.join(missing)}: pip install 'wsi-seg[{extra}]'"
        for extra, missing in lacking.items()
        if missing
    ]
    yield Finding("extras", True, ", ".join(there) or "none", "; ".join(others))
    homes = {name: module for module, names in metadata.packages_distributions().items() for name in names}
    for extra in there:
        for name in asked[extra]:
            module = name.replace("-", "_")
            yield from _broken(module if find_spec(module) else homes.get(name, module), extra)


def _broken(module: str, extra: str) -> Iterator[Finding]:
    """Import a module of an extra that is there; say what is wrong with it if that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module(module)
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, extra)
        what, _, remedy = fault.says.rpartition(": ")
        yield Finding("extras", False, f"{extra}: {fault.package} {what}", remedy)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _models() -> Iterator[Finding]:
    from wsi_seg.models.bundle import load_bundle
    from wsi_seg.models.lookup import builtin_models

    models = builtin_models()
    if not models:
        yield Finding("models", False, "no built-in model", f"{AGAIN}: its wheel carries one")
        return
    try:
        for path in models.values():
            load_bundle(path)
    except WsiSegError as error:
        yield Finding("models", False, str(error), AGAIN)
    else:
        yield Finding("models", True, f"built in: {', '.join(models)}")


def _machine() -> Iterator[Finding]:
    yield Finding(
        "machine",
        True,
        f"{platform.platform()}, {os.cpu_count()} cores, {_memory_gib():.1f} GiB of memory",
    )
    described = dict(_processor())
    name = described.get("model name") or platform.processor() or platform.machine()
    stated = (described.get("flags") or described.get("Features") or "").split()
    abilities = ", ".join(ability for ability in ABILITIES if ability in stated)
    yield Finding("processor", True, f"{name}: {abilities or 'what it can do is not known'}")


def _processor() -> Iterator[tuple[str, str]]:
    """Yield what Linux says of the processor."""
    source = Path("/proc/cpuinfo")
    for line in source.read_text(encoding="utf-8").splitlines() if source.exists() else ():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _limits() -> Iterator[Finding]:
    try:
        import resource
    except ModuleNotFoundError:  # where there are no such limits, as on Windows
        return
    said = []
    for what, name in LIMITS.items():
        limit = resource.getrlimit(getattr(resource, name))[0]
        size = in_words(limit) if what == "address space" else str(limit)
        said.append(f"{what} {'unlimited' if limit == resource.RLIM_INFINITY else size}")
    yield Finding("limits", True, ", ".join(said))


def _folders() -> Iterator[Finding]:
    from wsi_seg.compiled.build import cache_folder

    try:
        yield Finding("cache", True, _with_space(cache_folder()))
    except KernelsError as error:
        yield Finding("cache", True, str(error))
    try:
        yield Finding("temporary", True, _with_space(Path(tempfile.gettempdir())))
    except FileNotFoundError:
        what = "no folder for temporary files can be written"
        yield Finding("temporary", False, what, "free some space, or name a folder with TMPDIR")


def _with_space(folder: Path) -> str:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    new = "" if there == folder else ", not made yet"
    return f"{folder}{new}, {in_words(shutil.disk_usage(there).free)} free"


def _from_home(text: str) -> str:
    """Write ~ for the home folder: its name is often the user's, and reports are public."""
    home = os.path.expanduser("~")
    return re.sub(rf"{re.escape(home)}(?=[/:;,)\s]|$)", "~", text) if len(Path(home).parts) > 1 else text


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30

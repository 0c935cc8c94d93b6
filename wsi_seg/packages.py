"""Packages that only some commands need: what is wrong with one that cannot be imported, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from traceback import walk_tb
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError, shortened

if TYPE_CHECKING:
    from types import ModuleType

OURS = "wsi_seg"
AGAIN = "install wsi-seg again"
IMPORTING = frozenset({OURS, "importlib", "_frozen_importlib", "_frozen_importlib_external"})
"""Packages whose code imports others."""


@dataclass(frozen=True)
class ImportFault:
    """A package that cannot be imported.

    Attributes
    ----------
    package : str
        The package, or the module of ours.
    says : str
        What is wrong with it, and the remedy, to go on a sentence with: "is not installed: pip install ...".
    """

    package: str
    says: str

    @classmethod
    def of(cls, error: Exception, extra: str | None = None) -> ImportFault:
        """Describe why an import failed: a broken installation may raise anything.

        Parameters
        ----------
        error : Exception
            What the import raised.
        extra : str, optional
            The extra of wsi-seg that installs the package; None for a package that all need.
        """
        missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
        package = missing.partition(".")[0]
        if package == OURS:
            return cls(missing, f"is missing: {AGAIN}")
        if package and find_spec(package) is None:
            remedy = f"pip install 'wsi-seg[{extra}]'" if extra else AGAIN
            return cls(package, f"is not installed: {remedy}")
        package = _imported(error) or package or OURS
        remedy = AGAIN if package == OURS else f"pip install --force-reinstall {_distribution(package)}"
        said = shortened(" ".join(f"{type(error).__name__}: {error}".split()))
        return cls(package, f"cannot be imported ({said}): {remedy}")


def required(what: str, extra: str, *modules: str) -> ModuleType:
    """Import modules that only some commands need, and return the first.

    Parameters
    ----------
    what : str
        What needs them: a file, or a function.
    extra : str
        The extra of wsi-seg that installs them.
    modules : str
        A package, and those of its modules that are used.

    Raises
    ------
    UsageError
        If one is not installed, or broken.
    """
    try:
        first, *_ = [import_module(module) for module in modules]
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, extra)
        raise UsageError(f"{what}: needs {fault.package}, which {fault.says}") from error
    return first


def _imported(error: Exception) -> str | None:
    """Return the package that was being imported when an error arose, as far as that is known."""
    for frame, _ in list(walk_tb(error.__traceback__))[1:]:  # the first is the one that caught it
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in IMPORTING:
            return package
    return (error.name or "").partition(".")[0] or None if isinstance(error, ImportError) else None


def _distribution(package: str) -> str:
    """Return what pip calls a package: of several, such as ONNX Runtime's, the one that is there."""
    from importlib import metadata  # it takes a while, and is needed for this alone

    return metadata.packages_distributions().get(package, [package])[0]

"""The software that computes labels in a process: other versions may give other labels."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Self

import openslide

import wsi_seg
from wsi_seg.errors import SchedulerError
from wsi_seg.inference.network.devices import torch_version


@dataclass(frozen=True)
class Software:
    """The versions on which labels depend.

    Attributes
    ----------
    wsi_seg : str
        The version, and a hash of the source, as two checkouts may have the same version.
    torch : str
        The version without the build's suffix: builds for a GPU and for a CPU count as the same.
    openslide, simplejpeg, imagecodecs : str
        What decodes slides.
    onnxruntime : str or None
        Its version if it runs the network; None if PyTorch does.
    wsidicom : str or None
        Its version if the slide is DICOM; None for any other.
    """

    wsi_seg: str
    torch: str
    openslide: str
    simplejpeg: str
    imagecodecs: str
    onnxruntime: str | None = None
    wsidicom: str | None = None

    @classmethod
    @cache
    def here(cls, *, onnx: bool = False, dicom: bool = False) -> Self:
        """Return the software of this process; found once, as loaded modules do not change.

        Parameters
        ----------
        onnx : bool
            Whether ONNX Runtime runs the network.
        dicom : bool
            Whether the slide is DICOM.

        Raises
        ------
        UsageError
            If ONNX Runtime is needed and not installed.
        """
        return cls(
            wsi_seg=f"{wsi_seg.__version__} ({_source_hash()})",
            torch=torch_version().partition("+")[0],
            openslide=openslide.__library_version__,
            simplejpeg=metadata.version("simplejpeg"),
            imagecodecs=metadata.version("imagecodecs"),
            onnxruntime=_onnx_runtime() if onnx else None,
            wsidicom=metadata.version("wsidicom") if dicom else None,
        )

    def recorded(self) -> dict[str, str]:
        """Return the part for a result's record, where wsi-seg's labels have a version of their own."""
        return {name: version for name, version in asdict(self).items() if version and name != "wsi_seg"}

    def refuse_other(self) -> None:
        """Refuse to work in a process with other software.

        Raises
        ------
        SchedulerError
            If this process has other software.
        """
        here = Software.here(onnx=self.onnxruntime is not None, dicom=self.wsidicom is not None)
        if here != self:
            ours, theirs = asdict(self), asdict(here)
            others = [name for name in ours if ours[name] != theirs[name]]
            wanted, has = (
                ", ".join(f"{name.replace('_', '-')} {software[name]}" for name in others)
                for software in (ours, theirs)
            )
            raise SchedulerError(
                f"has {has}, but the run was started with {wanted}, which may give other labels: install the "
                "same version there, start the worker again, and run the same command"
            )


def _onnx_runtime() -> str:
    from wsi_seg.models.onnx.onnx_session import onnx_runtime

    return str(onnx_runtime().__version__)


def _source_hash() -> str:
    """Hash the package's own source."""
    package = Path(wsi_seg.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for suffix in ("py", "cpp") for p in package.rglob(f"*.{suffix}")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]

"""What computes labels in a process: other software may give other labels."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

import openslide
import torch

import wsi_seg
from wsi_seg.errors import SchedulerError
from wsi_seg.models.onnx.session import onnx_runtime


@dataclass(frozen=True)
class Software:
    """The versions that labels depend on.

    Attributes
    ----------
    wsi_seg : str
        The version, and a hash of the source: two checkouts may have one version.
    torch : str
        Without what it was built for: a GPU's build stands beside a CPU's.
    openslide : str
    onnxruntime : str or None
        Where it runs the network; None where PyTorch does.
    """

    wsi_seg: str
    torch: str
    openslide: str
    onnxruntime: str | None = None

    @classmethod
    @cache
    def here(cls, *, onnx: bool = False) -> Self:
        """Return what this process has; found once, for it is what the process has loaded.

        Parameters
        ----------
        onnx : bool
            Whether ONNX Runtime runs the network.

        Raises
        ------
        UsageError
            If it should, and is not installed.
        """
        return cls(
            wsi_seg=f"{wsi_seg.__version__} ({_source_hash()})",
            torch=str(torch.__version__).partition("+")[0],
            openslide=openslide.__library_version__,
            onnxruntime=str(onnx_runtime().__version__) if onnx else None,
        )

    def recorded(self) -> dict[str, str]:
        """Return what a result's record keeps; wsi-seg's labels have a version of their own there."""
        return {name: version for name, version in asdict(self).items() if version and name != "wsi_seg"}

    def refuse_other(self) -> None:
        """Refuse to work in a process that has other software than this.

        Raises
        ------
        SchedulerError
            If it has.
        """
        here = Software.here(onnx=self.onnxruntime is not None)
        if here != self:
            ours, theirs = asdict(self), asdict(here)
            others = [name for name in ours if ours[name] != theirs[name]]
            wanted, has = (
                ", ".join(f"{name.replace('_', '-')} {software[name]}" for name in others)
                for software in (ours, theirs)
            )
            raise SchedulerError(
                f"has {has}, and the run was begun with {wanted}, which may give other labels: install the "
                "same there, start it again, and run the same command"
            )


def _source_hash() -> str:
    """Hash the package's own source."""
    package = Path(wsi_seg.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for suffix in ("py", "cpp") for p in package.rglob(f"*.{suffix}")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]

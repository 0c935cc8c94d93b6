"""Find the results in a folder, as a batch or jobs with a folder each have written them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import OutputError
from wsi_seg.results.folder import is_result

if TYPE_CHECKING:
    from pathlib import Path

DEPTH = 2
"""How deep results may lie: ``results/slide``, or ``results/1/slide``, as of jobs with a folder each."""


class Found(NamedTuple):
    """The results in a folder, and a line for each folder in it that cannot be read."""

    results: list[Path]
    lines: list[str]


def results_in(folder: Path, depth: int = DEPTH) -> Found:
    """Find the results in a folder, and in its folders.

    Raises
    ------
    OutputError
        If the folder itself cannot be read.
    """
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({error.strerror}): make it readable") from error
    found = Found([], [])
    for path in folders:
        if path.name.endswith(".zarr") or (path / ".wsi-seg" / "training.json").exists():
            continue
        if is_result(path):
            found.results.append(path)
        elif depth > 1:
            try:
                inside = results_in(path, depth - 1)
            except OutputError as error:
                found.lines.append(str(error))
            else:
                found.results.extend(inside.results)
                found.lines.extend(inside.lines)
    return found

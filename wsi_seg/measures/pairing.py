"""Which annotation file holds the regions of which result."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsi_seg.data.projects.exported_outlines import ANNOTATIONS
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.results.folder import labels_in
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def pair_regions(results: Sequence[Path], regions: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """Return each result with the file of its regions; None stands for the whole slide.

    Parameters
    ----------
    results : sequence of Path
    regions : sequence of Path
        None, as many files as there are results, in their order, or one folder of files that are named after
        the results.

    Raises
    ------
    UsageError
        If there are no results, another number of files, or not exactly one file for a result in the folder.
    """
    if not results:
        raise UsageError("no result is named: give a result folder of `wsi-seg predict`")
    if not regions:
        return [(result, None) for result in results]
    if len(regions) == 1 and os.path.isdir(regions[0]):
        named = _by_name(regions[0])
        return [(result, _file_for(result, named, regions[0])) for result in results]
    if len(regions) != len(results):
        raise UsageError(
            f"{counted(len(regions), 'files of regions')} for {counted(len(results), 'results')}: give "
            "--regions once for each result, in their order, or a folder of files named after the results"
        )
    return list(zip(results, regions, strict=True))


def require_folder(result: Path) -> None:
    """Refuse a result that is not there.

    Raises
    ------
    OutputError
    """
    if not result.is_dir():
        what = "not a folder" if result.exists() else "no such folder"
        raise OutputError(f"{result}: {what}: give a result folder of `wsi-seg predict`")


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the annotation files of a folder by their names without ending; subfolders are not searched."""
    named: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()):
            if ANNOTATIONS.search(path.name) and path.is_file():
                named.setdefault(ANNOTATIONS.sub("", path.name), []).append(path)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}): make it readable") from error
    return named


def _file_for(result: Path, named: dict[str, list[Path]], folder: Path) -> Path:
    name = labels_in(result).resolve().parent.name
    files = named.get(name, [])
    if not files:
        raise UsageError(
            f"{folder}: has no file for the result {result}: name its regions {name}.geojson, or leave the "
            "result out"
        )
    if len(files) > 1:
        raise UsageError(f"{files[0]} and {files[1]}: both are named after the result {result}: keep one")
    return files[0]

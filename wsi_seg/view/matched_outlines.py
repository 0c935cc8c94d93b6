"""Annotation files for a folder of results: each lies on the slide that it is named after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.data.projects.exported_outlines import annotation_files, called_after, key_of, stems_of
from wsi_seg.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

HOW = "name each after its slide, with or without the suffix of the slide's file"


class MatchedOutlines:
    """Annotation files, found by the names of slides and results.

    Parameters
    ----------
    named : sequence of Path
        Files, and folders of files, whose subfolders are not searched.

    Raises
    ------
    MissingError
        If one does not exist.
    UsageError
        If a folder holds none, or cannot be read.
    """

    def __init__(self, named: Sequence[Path]) -> None:
        self._files: dict[str, list[Path]] = {}
        for path in named:
            for file in annotation_files(path, HOW) if path.is_dir() else [path]:
                if not file.exists():
                    raise MissingError(f"{file}: no such file: name annotation files, or a folder of them")
                self._files.setdefault(called_after(file), []).append(file)

    def of(self, result: str, slide: str | None) -> tuple[Path, ...]:
        """Return the files that are named after a result or its slide.

        Parameters
        ----------
        result : str
            Name of the result's folder.
        slide : str or None
            The slide's file, as far as it is known.
        """
        return tuple(file for key in _keys(result, slide) for file in self._files.get(key, ()))

    def strangers(self, results: Sequence[tuple[str, str | None]]) -> list[str]:
        """Return a line for each file that is named after none of these results and slides."""
        known = {key for result, slide in results for key in _keys(result, slide)}
        left_out = [file for key, files in self._files.items() if key not in known for file in files]
        return [f"{file}: no slide here has this name: left out; {HOW}" for file in left_out]


def _keys(result: str, slide: str | None) -> dict[str, None]:
    """Return all that a file of a slide's outlines may be called, in order."""
    names = [result]
    if slide is not None:
        file = Path(slide)
        names += [file.name, *stems_of(file.name, file.suffix)]
    return dict.fromkeys(map(key_of, names))

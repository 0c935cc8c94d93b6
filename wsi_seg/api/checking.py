"""Check whether QuPath opens a GeoJSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.api.arguments import AnyPath, flag_of, path_of
from wsi_seg.errors import AnnotationError
from wsi_seg.files.plain_files import check_plain
from wsi_seg.results.qupath.geojson_check import check_file

if TYPE_CHECKING:
    from wsi_seg.results.qupath.geojson_check import CheckReport


def check_geojson(path: AnyPath, *, coverage: bool = False) -> CheckReport:
    """Check whether QuPath can read a GeoJSON file.

    QuPath refuses a whole file for one fault, with little explanation.

    Parameters
    ----------
    path : str or path
        ``.geojson`` or ``.json``, optionally followed by ``.gz``.
    coverage : bool
        Also check that shapes do not overlap, and that they share their corners where they touch.

    Returns
    -------
    CheckReport
        ``ok`` says whether QuPath opens the file and reads all of it. ``faults`` lists what is wrong, each
        with ``where``, ``what``, ``remedy``, and ``warning`` if QuPath opens it, but not as intended.
        A report is returned for any content of the file.

    Raises
    ------
    AnnotationError
        If there is no such file.
    """
    flag_of("coverage", coverage)
    file = path_of(path)
    try:
        check_plain(file)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise AnnotationError(f"{file}: {what}: give a GeoJSON file") from error
    return check_file(file, coverage)

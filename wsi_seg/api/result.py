"""A finished result: areas, labels, polygons."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from wsi_seg.api.arguments import AnyPath, checked, path_of, shown
from wsi_seg.api.exporting import Exporting
from wsi_seg.api.label_image import LabelImage
from wsi_seg.api.polygons import Polygon, polygon_in, to_geopandas
from wsi_seg.api.warn_user import warn_user
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.results.folder import ResultFolder, folder_of, labels_in, refuse_folder_of_results
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.labels.seals import read_seal
from wsi_seg.results.polygon_files import settings_beside
from wsi_seg.results.polygons.objects import class_polygons
from wsi_seg.results.summary import read_summary, summarise_classes
from wsi_seg.results.whole import require_whole
from wsi_seg.settings import ExportSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import geopandas

    from wsi_seg.models.classes import TissueClass
    from wsi_seg.results.familiarity import Familiarity
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.summary import Summary
    from wsi_seg.slides.frames import Frames


class Result(Exporting):
    """The result of segmenting a slide. `wsi_seg.segment` and `wsi_seg.open_result` return one.

    Labels are in the label frame: pixels at the working resolution, from the corner of the slide's bounds.
    ``result.frames`` converts to level-0 pixels of the slide and to QuPath's pixels.

    Parameters
    ----------
    zarr : Path
        The OME-Zarr of a result that is known to be complete.
    """

    def __init__(self, zarr: Path) -> None:
        self.zarr = zarr

    def __repr__(self) -> str:
        return f"<wsi_seg.Result {str(self.path)!r}>"

    @property
    def path(self) -> Path:
        """The result folder; for an OME-Zarr outside of a result folder, the OME-Zarr."""
        folder = folder_of(self.zarr)
        return self.zarr if folder is None else folder.folder

    @cached_property
    def _pyramid(self) -> LabelPyramid:
        return read_labels(self.zarr)

    @property
    def classes(self) -> tuple[TissueClass, ...]:
        """The classes; each has an ``id``, which is its label value, a ``name`` and a ``color``."""
        return self._pyramid.schema.classes

    @property
    def frames(self) -> Frames:
        """The frames of the labels: they convert positions between labels, slide and QuPath."""
        return self._pyramid.frames

    @property
    def mpp(self) -> tuple[float, float]:
        """Micrometres per label pixel in x and y."""
        return self.frames.label_mpp

    @cached_property
    def areas_mm2(self) -> dict[str, float]:
        """Area of each class in square millimetres, by label pixels."""
        seal = read_seal(self.zarr)
        pixels = self._pyramid.count() if seal is None else seal.pixels
        return {c.name: c.mm2 for c in summarise_classes(pixels, self._pyramid.schema, self.frames)}

    @cached_property
    def summary(self) -> Summary:
        """All of ``summary.json``: areas, polygons, remarks, times, versions, settings.

        Raises
        ------
        OutputError
            If there is none beside the labels, or it is damaged.
        """
        folder = folder_of(self.zarr)
        if folder is None or not folder.summary_json.exists():
            raise OutputError(f"{self.path}: has no summary.json: open the whole result folder")
        return read_summary(folder.summary_json)

    @property
    def familiarity(self) -> Familiarity | None:
        """The slide's tissue beside the tissue that the model was trained on: verdict, line, what differs.

        None without tissue, and of results of earlier versions.
        """
        return self.summary.familiarity

    @property
    def labels(self) -> LabelImage:
        """Class ids of the label pixels: ``result.labels[y0:y1, x0:x1]`` reads only that rectangle.

        254 stands for pixels that were not asked for, 255 for pixels that could not be read.
        """
        return LabelImage(self._pyramid.shape, self._pyramid.read)

    @property
    def confidence(self) -> LabelImage:
        """The model's confidence, likewise: 255 is certain, 0 is not processed.

        Raises
        ------
        UsageError
            If the result was made without ``confidence=True``.
        """
        if not self._pyramid.confidence:
            raise UsageError(f"{self.path}: has no confidence: segment it with confidence=True")
        return LabelImage(self._pyramid.shape, self._pyramid.read_confidence)

    def _drawn_by(self, asked: Mapping[str, object]) -> ExportSettings:
        """Return the settings of the result's own polygons, changed as asked for."""
        given = {name: value for name, value in asked.items() if value is not None}
        checked(ExportSettings, given)  # alone, so that an error names a given argument
        own = settings_beside(folder_of(self.zarr)).model_dump()
        return ExportSettings.model_validate({**own, **given})

    def polygons(
        self,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        include_background: bool | None = None,
        frame: Literal["slide", "qupath", "label"] = "slide",
    ) -> list[Polygon]:
        """Make the polygons.

        Parameters
        ----------
        simplify_um : float, optional
            Tolerance of outlines in micrometres; 0 for pixel edges. This and the next two are by default as
            in the result's own polygons.
        min_area_um2 : float, optional
            Islands smaller than this become part of their surroundings.
        include_background : bool, optional
            Make polygons of the background class, too.
        frame : {"slide", "qupath", "label"}
            The frame of the coordinates.

        Raises
        ------
        UsageError
            If a setting is not valid.
        OutputError
            If the labels are damaged.
        """
        settings = self._drawn_by(
            {
                "simplify_um": simplify_um,
                "min_area_um2": min_area_um2,
                "include_background": include_background,
            }
        )
        if not isinstance(frame, str) or frame not in ("slide", "qupath", "label"):
            raise UsageError(f"frame={shown(frame)}: use 'slide', 'qupath' or 'label'")
        return [polygon_in(frame, drawn, self.frames) for drawn in class_polygons(self._pyramid, settings)]

    def to_geopandas(
        self,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        include_background: bool | None = None,
        frame: Literal["slide", "qupath", "label"] = "slide",
    ) -> geopandas.GeoDataFrame:
        """Return the polygons as a table, one row for each; needs ``pip install 'wsi-seg[geo]'``.

        Parameters
        ----------
        simplify_um, min_area_um2, include_background, frame
            As for `polygons`.

        Raises
        ------
        UsageError
            If GeoPandas is not installed, or a setting is not valid.
        OutputError
            If the labels are damaged.
        """
        return to_geopandas(
            lambda: self.polygons(
                simplify_um=simplify_um,
                min_area_um2=min_area_um2,
                include_background=include_background,
                frame=frame,
            ),
            frame,
        )


def open_result(path: AnyPath) -> Result:
    """Open a finished result, and check that every file of its labels is present and unchanged.

    Parameters
    ----------
    path : str or path
        A result folder, or an OME-Zarr of labels.

    Raises
    ------
    OutputError
        If there is no result, or it is not finished, or one of its files is missing or altered.
    UsageError
        If it is a folder of results.

    Warns
    -----
    UserWarning
        If it was made before results kept digests of their files, so that it cannot be checked.
    """
    given = path_of(path)
    zarr = labels_in(given)
    if not given.is_dir():
        what = "not a folder" if given.exists() else "no such folder"
        raise OutputError(f"{given}: {what}: give the folder that `wsi_seg.segment` wrote")
    if not zarr.is_dir() and ResultFolder(given).work.is_dir():
        raise OutputError(f"{given}: not finished: segment it again, which resumes it")
    refuse_folder_of_results(given, several=False)
    read_labels(zarr)  # its error says best why this is not a result
    unknown = require_whole(zarr)
    if unknown is not None:
        warn_user(unknown)
    return Result(zarr)

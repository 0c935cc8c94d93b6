"""The files that a result is written to, a method for each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wsi_seg.api.arguments import AnyPath, checked, path_of, shown
from wsi_seg.errors import UsageError
from wsi_seg.exports.formats import format_named
from wsi_seg.exports.options import FRAMES, IMAGES, SEG_TYPES, Options
from wsi_seg.exports.source import Source
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.settings import ExportSettings

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.exports.options import Frame, Image, SegType


class Exporting:
    """A result that can be written to files; settings that are not given are those of its own polygons."""

    zarr: Path

    def _write(self, name: str, path: AnyPath, options: Options) -> Path:
        """Write one format, and return the file."""
        target = path_of(path)
        checked(ExportSettings, options.of_polygons)  # alone, so that an error names a given argument
        return format_named(name).prepare(Source(read_labels(self.zarr)), target, options)().path

    def to_geojson(
        self,
        path: AnyPath,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        object_type: Literal["annotation", "detection"] | None = None,
        include_background: bool | None = None,
    ) -> Path:
        """Write the polygons for QuPath, in its frame, as `wsi-seg export` does.

        Parameters
        ----------
        path : str or path
            ``.geojson``, or ``.geojson.gz`` to compress it: QuPath decides by the ending. The result's own
            polygon file may be replaced, and the summary is then updated; other files of a result may not.
        simplify_um, min_area_um2, include_background
            As for `polygons`.
        object_type : {"annotation", "detection"}, optional
            The type of the shapes in QuPath.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If a setting is not valid, or the path is a folder, has another ending, or belongs to another
            result.
        OutputError
            If the labels are damaged, or the file cannot be written.
        """
        options = Options(
            simplify_um=simplify_um,
            min_area_um2=min_area_um2,
            object_type=object_type,
            include_background=include_background,
        )
        return self._write("geojson", path, options)

    def to_parquet(
        self,
        path: AnyPath,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        include_background: bool | None = None,
        frame: Frame = "slide",
    ) -> Path:
        """Write the polygons as GeoParquet, a row for each; needs ``pip install 'wsi-seg[geo]'``.

        The table has the columns of `to_geopandas`, and is written part by part, never held as a whole.

        Parameters
        ----------
        path : str or path
            ``.parquet`` or ``.geoparquet``.
        simplify_um, min_area_um2, include_background
            As for `polygons`.
        frame : {"slide", "qupath", "label", "um"}
            The frame of the coordinates; "um" are micrometres from the corner of the slide's bounds.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If pyarrow is not installed, a setting is not valid, or the path is a folder, has another ending,
            or belongs to a result.
        OutputError
            If the labels are damaged, or the file cannot be written.
        """
        if not isinstance(frame, str) or frame not in FRAMES:
            raise UsageError(f"frame={shown(frame)}: use 'slide', 'qupath', 'label' or 'um'")
        options = Options(
            simplify_um=simplify_um,
            min_area_um2=min_area_um2,
            include_background=include_background,
            frame=frame,
        )
        return self._write("parquet", path, options)

    def to_spatialdata(
        self,
        path: AnyPath,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        include_background: bool | None = None,
        image: Image = "overview",
        slide: AnyPath | None = None,
    ) -> Path:
        """Write a store that ``spatialdata.read_zarr`` opens; needs ``pip install 'wsi-seg[geo]'``.

        It holds the labels, the polygons and a picture in one coordinate system, "global", in micrometres.

        Parameters
        ----------
        path : str or path
            A folder that is not there yet; its name ends in ``.zarr``.
        simplify_um, min_area_um2, include_background
            As for `polygons`.
        image : {"overview", "slide", "none"}
            The result's picture of the whole slide, the slide itself at the labels' resolution, or none.
        slide : str or path, optional
            Where the slide lies now, for ``image="slide"``; by default where it lay.

        Returns
        -------
        Path
            The store.

        Raises
        ------
        UsageError
            If pyarrow is not installed, a setting is not valid, the path is there already or has another
            ending, or the slide is not where it lay.
        SlideError
            If the slide can't be read, or is another one.
        OutputError
            If the labels are damaged, or the store cannot be written.
        """
        if not isinstance(image, str) or image not in IMAGES:
            raise UsageError(f"image={shown(image)}: use 'overview', 'slide' or 'none'")
        options = Options(
            simplify_um=simplify_um,
            min_area_um2=min_area_um2,
            include_background=include_background,
            image=image,
            slide=None if slide is None else path_of(slide),
        )
        return self._write("spatialdata", path, options)

    def to_dicom_seg(
        self,
        path: AnyPath,
        *,
        seg_type: SegType = "labelmap",
        include_background: bool = False,
        codes: str | None = None,
        slide: AnyPath | None = None,
    ) -> Path:
        """Write the labels as a DICOM Segmentation; needs ``pip install 'wsi-seg[dicom]'``.

        The slide must be a DICOM slide: the segmentation lies in its frame of reference and refers to it.

        Parameters
        ----------
        path : str or path
            A folder that is not there yet. It gets a file for each level.
        seg_type : {"labelmap", "binary"}
            One number a pixel, compressed; or a bit a pixel for each class, for programs that know no label
            maps.
        include_background : bool
            Make the background class a segment, too.
        codes : str, optional
            A class schema, by name or path of a YAML file, whose codes are taken for classes without.
        slide : str or path, optional
            Where the slide lies now; by default where it lay.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        UsageError
            If a package is not installed, a setting is not valid, the path is there already, or the slide is
            not where it lay.
        SlideError
            If the slide can't be read, is no DICOM slide, is another one, or does not state how it lies.
        OutputError
            If the labels are damaged, or a file cannot be written.
        """
        if not isinstance(seg_type, str) or seg_type not in SEG_TYPES:
            raise UsageError(f"seg_type={shown(seg_type)}: use 'labelmap' or 'binary'")
        options = Options(
            seg_type=seg_type,
            include_background=include_background or None,
            codes=codes,
            slide=None if slide is None else path_of(slide),
        )
        return self._write("dicom-seg", path, options)

    def to_dicom_ann(
        self,
        path: AnyPath,
        *,
        simplify_um: float | None = None,
        min_area_um2: float | None = None,
        include_background: bool | None = None,
        codes: str | None = None,
        slide: AnyPath | None = None,
    ) -> Path:
        """Write the polygons as DICOM annotations; needs ``pip install 'wsi-seg[dicom]'``.

        The slide must be a DICOM slide. Polygons with holes are cut into annotations without.

        Parameters
        ----------
        path : str or path
            ``.dcm``.
        simplify_um, min_area_um2, include_background
            As for `polygons`.
        codes, slide
            As for `to_dicom_seg`.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError, SlideError, OutputError
            As for `to_dicom_seg`; or if there is no polygon.
        """
        options = Options(
            simplify_um=simplify_um,
            min_area_um2=min_area_um2,
            include_background=include_background,
            codes=codes,
            slide=None if slide is None else path_of(slide),
        )
        return self._write("dicom-ann", path, options)

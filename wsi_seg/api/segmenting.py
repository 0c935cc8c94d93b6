"""Segment one slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wsi_seg.api.runner import Runner

if TYPE_CHECKING:
    from wsi_seg.api.arguments import AnyPath
    from wsi_seg.api.model import Model
    from wsi_seg.api.open_slide import OpenSlide
    from wsi_seg.api.result import Result
    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.progress import Progress


def segment(
    slide: OpenSlide | AnyPath,
    model: Model | AnyPath = "breast-demo",
    *,
    out: AnyPath,
    mpp: float | None = None,
    series: int | None = None,
    working_mpp: float | None = None,
    allow_coarser: bool = False,
    allow_grey: bool = False,
    from_level_0: bool = False,
    adapt: bool = False,
    tissue_mask: bool = True,
    roi: AnyPath | None = None,
    confidence: bool = False,
    ngff: Literal["0.5", "0.4"] = "0.5",
    min_area_um2: float = 400.0,
    simplify_um: float | None = None,
    object_type: Literal["annotation", "detection"] = "annotation",
    gzip: bool = True,
    include_background: bool = False,
    device: str = "auto",
    precision: Precision = "float32",
    compile: Compile = "auto",  # noqa: A002
    batch_size: int | None = None,
    patch: int | None = None,
    overlap: int | None = None,
    workers: int | None = None,
    scheduler: AnyPath | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Segment a slide, and write a result that opens in QuPath.

    The same call resumes an interrupted run, and does nothing if the result is finished. The files are those
    that `wsi-seg predict` writes.

    Parameters
    ----------
    slide : str, path or open slide
        A file, or what `wsi_seg.open_slide` returns.
    model : Model, str or path
        A model, or the name or file of one.
    out : str or path
        The result folder of this slide.
    mpp : float, optional
        The slide's micrometres per pixel, if its file does not state them.
    series : int, optional
        Index of the image in the file, as `wsi-seg info` numbers them; by default the largest in colour.
    working_mpp : float, optional
        Segment at these micrometres per pixel instead of the model's.
    allow_coarser : bool
        Accept a slide that is coarser than the working resolution.
    allow_grey : bool
        Accept a slide without colour.
    from_level_0 : bool
        Always read level 0, and none of the coarser levels in the file.
    adapt : bool
        Bring an unfamiliar slide and the network nearer to each other: its stain is turned into that of the
        training tissue, and the batch normalisations are measured on it, where this helps.
    tissue_mask : bool
        Segment only tissue, not glass.
    roi : str or path, optional
        Annotation file: segment only inside its shapes.
    confidence : bool
        Write the model's confidence, too.
    ngff : {"0.5", "0.4"}
        Version of the OME-Zarr.
    min_area_um2 : float
        Polygons: islands smaller than this become part of their surroundings.
    simplify_um : float, optional
        Polygons: tolerance of outlines in micrometres; by default one and a half label pixels.
    object_type : {"annotation", "detection"}
        Polygons: their type in QuPath.
    gzip : bool
        Polygons: write ``slide.geojson.gz`` instead of ``slide.geojson``.
    include_background : bool
        Polygons: outline the background class, too.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision : {"float32", "bfloat16", "float16"}
        Of the network's arithmetic.
    compile : {"auto", "yes", "no", "amx"}
        Whether to use compiled kernels.
    batch_size : int, optional
        Number of patches that go through the network together.
    patch : int, optional
        Side of a patch in label pixels; by default 1024, or less for a small slide.
    overlap : int, optional
        Overlap of neighbouring patches in label pixels; by default it follows from how far the network sees,
        or is 192.
    workers : int, optional
        Number of regions at a time in this process.
    scheduler : str or path, optional
        Address or file of a running Dask scheduler.
    overwrite : bool
        Replace an older result.
    progress : Progress, optional
        A `wsi_seg.progress.Progress` that receives the progress.

    Returns
    -------
    Result

    Raises
    ------
    WsiSegError
        One line that says what is wrong and what to do. Finished regions are kept.

    Warns
    -----
    UserWarning
        If the slide's tissue is unlike what the model was trained on.
    """
    with Runner(
        model,
        scheduler=scheduler,
        device=device,
        workers=workers,
        working_mpp=working_mpp,
        allow_coarser=allow_coarser,
        allow_grey=allow_grey,
        from_level_0=from_level_0,
        adapt=adapt,
        tissue_mask=tissue_mask,
        confidence=confidence,
        ngff=ngff,
        min_area_um2=min_area_um2,
        simplify_um=simplify_um,
        object_type=object_type,
        gzip=gzip,
        include_background=include_background,
        precision=precision,
        compile=compile,
        batch_size=batch_size,
        patch=patch,
        overlap=overlap,
        overwrite=overwrite,
        progress=progress,
    ) as runner:
        return runner.segment(slide, out=out, mpp=mpp, series=series, roi=roi)

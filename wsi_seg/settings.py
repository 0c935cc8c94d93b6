"""The settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LabelSettings(BaseModel):
    """What decides a slide's labels, beside the slide and the model.

    Attributes
    ----------
    mpp : float or None
        The slide's resolution, in place of what the file says.
    working_mpp : float or None
        Resolution to segment at; None stands for the model's own.
    allow_coarser : bool
        Go on with a slide that is coarser than the working resolution.
    allow_grey : bool
        Go on with a slide without colour: for networks that learned from such.
    from_level_0 : bool
        Read level 0 always, and none of the coarser levels that the file stores.
    patch : int or None
        Side of a patch in label pixels; None chooses it.
    overlap : int
        By how many label pixels neighbouring patches overlap: twice the halo.
    region_cores : int or None
        Cores along one side of a region; None chooses it.
    batch_size : int or None
        Patches that go through the network together; None chooses it.
    precision : {"float32", "bfloat16", "float16"}
    compile : {"auto", "yes", "no"}
        Run the network by compiled kernels: see `wsi_seg.inference.network.forms.choose_form`.
    tissue_mask : bool
        Leave glass out.
    roi : Path or None
        Annotation file with the shapes to restrict the run to.
    confidence : bool
        Write a confidence image.
    ngff : {"0.5", "0.4"}
        Version of the OME-Zarr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mpp: float | None = None
    working_mpp: Positive | None = None
    allow_coarser: bool = False
    allow_grey: bool = False
    from_level_0: bool = False
    patch: int | None = None
    overlap: Annotated[int, Field(ge=0)] = 192
    region_cores: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: Literal["auto", "yes", "no"] = "auto"
    tissue_mask: bool = True
    roi: Path | None = None
    confidence: bool = False
    ngff: Literal["0.5", "0.4"] = "0.5"


class ExportSettings(BaseModel):
    """What decides the polygons, beside the labels.

    Attributes
    ----------
    simplify_um : float or None
        Tolerance of the simplification; None stands for one and a half label pixels, 0 for none. The largest
        of `simplify.STEPS` within it is used.
    min_area_um2 : float
        Islands smaller than this are given to what surrounds them.
    object_type : {"annotation", "detection"}
        What the shapes are in QuPath.
    gzip : bool
        Write ``slide.geojson.gz`` and not ``slide.geojson``.
    include_background : bool
        Export the background class too.
    max_vertices : int
        Shapes with more are split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simplify_um: NonNegative | None = None
    min_area_um2: NonNegative = 400.0
    object_type: Literal["annotation", "detection"] = "annotation"
    gzip: bool = True
    include_background: bool = False
    max_vertices: Annotated[int, Field(ge=100)] = 50_000


class RunSettings(BaseModel):
    """What decides how a run is done, but not what comes out of it.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    workers : int or None
        Regions worked on at a time in this process; None chooses it.
    scheduler : str or None
        Address or file of a Dask scheduler that is up; None stands for threads of this process.
    overwrite : bool
        Start anew over an older result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = "auto"
    workers: Annotated[int, Field(ge=1)] | None = None
    scheduler: str | None = None
    overwrite: bool = False


class PredictSettings(BaseModel):
    """All settings of `wsi-seg predict`; a pipeline file holds any of them under ``predict``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "breast-demo"
    labels: LabelSettings = LabelSettings()
    export: ExportSettings = ExportSettings()
    run: RunSettings = RunSettings()

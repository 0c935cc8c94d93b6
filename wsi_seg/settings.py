"""The settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

GIVEN_MPP = (0.05, 100.0)
"""The resolutions of a slide that are accepted from a user: no finer than a lens can be, as lists from other
programs may be wrong by a factor of ten; and coarser than any slide, for levels that were exported alone."""

WORKING_MPP = (0.01, 100.0)
"""The resolutions to segment at: those that a model file may state."""

GivenMpp = Annotated[float, Field(ge=GIVEN_MPP[0], le=GIVEN_MPP[1], allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WorkingMpp = Annotated[float, Field(ge=WORKING_MPP[0], le=WORKING_MPP[1], allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LabelSettings(BaseModel):
    """The settings that, with the slide and the model, determine the labels.

    Attributes
    ----------
    mpp : float or None
        The slide's resolution, instead of the file's statement.
    series : int or None
        Which of the slide file's images; None: the largest in colour that is not a label or an overview.
    working_mpp : float or None
        Resolution to segment at; None means the model's own.
    allow_coarser : bool
        Segment slides that are coarser than the working resolution too.
    allow_grey : bool
        Segment slides without colour too: for networks that learned from such slides.
    from_level_0 : bool
        Always read level 0, and none of the coarser levels in the file.
    patch : int or None
        Side of a patch in label pixels; None chooses it.
    overlap : int or None
        Overlap of neighbouring patches in label pixels: twice the halo. None stands for what the network's
        reach asks for, or 192.
    region_cores : int or None
        Cores along one side of a region; None chooses it.
    batch_size : int or None
        Patches that go through the network together; None chooses it.
    precision : {"float32", "bfloat16", "float16"}
    compile : {"auto", "yes", "no", "amx"}
        Run the network with compiled kernels: see `wsi_seg.inference.network.choice.choose_form`.
    adapt : bool
        Bring an unfamiliar slide and the network nearer to each other: see `wsi_seg.predict.adapt`.
    tissue_mask : bool
        Leave glass out.
    roi : Path or None
        Annotation file with the regions of interest.
    confidence : bool
        Write a confidence image.
    ngff : {"0.5", "0.4"}
        Version of the OME-Zarr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mpp: GivenMpp | None = None
    series: Annotated[int, Field(ge=0)] | None = None
    working_mpp: WorkingMpp | None = None
    allow_coarser: bool = False
    allow_grey: bool = False
    from_level_0: bool = False
    patch: int | None = None
    overlap: Annotated[int, Field(ge=0)] | None = None
    region_cores: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: Literal["auto", "yes", "no", "amx"] = "auto"
    adapt: bool = False
    tissue_mask: bool = True
    roi: Path | None = None
    confidence: bool = False
    ngff: Literal["0.5", "0.4"] = "0.5"


class ExportSettings(BaseModel):
    """The settings that, with the labels, determine the polygons.

    Attributes
    ----------
    simplify_um : float or None
        Tolerance of the simplification; None means one and a half label pixels, 0 means none. The largest of
        `simplify.STEPS` within it is used.
    min_area_um2 : float
        Smaller islands are given to the surrounding class.
    object_type : {"annotation", "detection"}
        The kind of QuPath object.
    gzip : bool
        Write ``slide.geojson.gz`` instead of ``slide.geojson``.
    include_background : bool
        Export the background class too.
    max_vertices : int
        Shapes with more corners are split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simplify_um: NonNegative | None = None
    min_area_um2: NonNegative = 400.0
    object_type: Literal["annotation", "detection"] = "annotation"
    gzip: bool = True
    include_background: bool = False
    max_vertices: Annotated[int, Field(ge=100)] = 50_000


class RunSettings(BaseModel):
    """The settings that determine how a run is done, but not its result.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    workers : int or None
        Regions that this process works on at a time; None chooses it.
    scheduler : str or None
        Address or file of a running Dask scheduler; None means threads of this process.
    overwrite : bool
        Replace an older result.
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

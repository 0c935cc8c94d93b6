"""Segment many slides with one model on one cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from wsi_seg.api.arguments import AnyPath, checked, image_of, listener_of, number_of, path_of, text_of
from wsi_seg.api.model import Model, as_model
from wsi_seg.api.open_slide import OpenSlide
from wsi_seg.api.result import Result
from wsi_seg.api.warn_user import warn_user
from wsi_seg.errors import UsageError
from wsi_seg.predict.session import Session
from wsi_seg.progress import Progress
from wsi_seg.results.folder import ResultFolder
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings

if TYPE_CHECKING:
    from types import TracebackType

    from wsi_seg.inference.network.choice import Compile, Precision


class Runner:
    """Segments slide after slide with one model, on one Dask cluster.

    Use it in a ``with`` statement, which closes it at the end; or without one, as over several cells of a
    notebook, and call `close`. The cluster is opened when the first slide needs it. A closed runner refuses
    to segment.

    Parameters
    ----------
    model : Model, str or path
        A model, or the name or file of one.
    scheduler : str or path, optional
        Address or file of a running Dask scheduler; by default threads of this process are used.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    working_mpp, allow_coarser, ..., overwrite, progress
        As for `wsi_seg.segment`, for all slides.

    Raises
    ------
    UsageError
        If a setting is not valid.
    ModelError
        If the model cannot be loaded.
    """

    def __init__(
        self,
        model: Model | AnyPath = "breast-demo",
        *,
        scheduler: AnyPath | None = None,
        device: str = "auto",
        workers: int | None = None,
        working_mpp: float | None = None,
        allow_coarser: bool = False,
        allow_grey: bool = False,
        from_level_0: bool = False,
        adapt: bool = False,
        tissue_mask: bool = True,
        confidence: bool = False,
        ngff: Literal["0.5", "0.4"] = "0.5",
        min_area_um2: float = 400.0,
        simplify_um: float | None = None,
        object_type: Literal["annotation", "detection"] = "annotation",
        gzip: bool = True,
        include_background: bool = False,
        precision: Precision = "float32",
        compile: Compile = "auto",  # noqa: A002
        batch_size: int | None = None,
        patch: int | None = None,
        overlap: int | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        labels = {
            "working_mpp": working_mpp,
            "allow_coarser": allow_coarser,
            "allow_grey": allow_grey,
            "from_level_0": from_level_0,
            "adapt": adapt,
            "tissue_mask": tissue_mask,
            "confidence": confidence,
            "ngff": ngff,
            "precision": precision,
            "compile": compile,
            "batch_size": batch_size,
            "patch": patch,
            "overlap": overlap,
        }
        export = {
            "min_area_um2": min_area_um2,
            "simplify_um": simplify_um,
            "object_type": object_type,
            "gzip": gzip,
            "include_background": include_background,
        }
        at = None if scheduler is None else text_of("scheduler", scheduler)
        run = {"scheduler": at, "device": device, "workers": workers, "overwrite": overwrite}
        self.model = as_model(model)
        settings = PredictSettings(
            model=self.model.named,
            labels=checked(LabelSettings, labels),
            export=checked(ExportSettings, export),
            run=checked(RunSettings, run),
        )
        hears = listener_of(Progress, progress)
        self._session = Session(self.model.bundle, settings, hears, "wsi_seg.segment")
        self._closed = False

    def __enter__(self) -> Self:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the runner, and its own cluster or its connection to a running one."""
        self._closed = True
        self._session.close()

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("this runner is closed: make another with wsi_seg.Runner(...)")

    def segment(
        self,
        slide: OpenSlide | AnyPath,
        *,
        out: AnyPath,
        mpp: float | None = None,
        series: int | None = None,
        roi: AnyPath | None = None,
    ) -> Result:
        """Segment a slide into a result folder; resume an unfinished run there, if there is one.

        Parameters
        ----------
        slide : str, path or open slide
            A file, or what `wsi_seg.open_slide` returns.
        out : str or path
            The result folder of this slide.
        mpp : float, optional
            The slide's micrometres per pixel, if its file does not state them.
        series : int, optional
            Index of the image in the file, as `wsi-seg info` numbers them; by default the largest in colour.
        roi : str or path, optional
            Annotation file with the regions of interest.

        Raises
        ------
        UsageError
            If the runner is closed.
        WsiSegError
            If the slide, a setting, the device, the scheduler or the output folder fails. Finished regions
            are kept, and the same call resumes the run.

        Warns
        -----
        UserWarning
            If the slide's tissue is unlike what the model was trained on.
        """
        self._require_open()
        folder = path_of(out)
        settings = self._session.settings_for(
            number_of("mpp", mpp), None if roi is None else path_of(roi), image_of(series)
        )
        if isinstance(slide, OpenSlide):
            for name, value in (("mpp", mpp), ("series", series)):
                if value is not None:
                    raise UsageError(f"{slide.path}: is already open: give its {name} to open_slide")
            summary = self._session.segment(slide.slide, folder, settings)
        else:
            summary = self._session.segment(path_of(slide), folder, settings)
        if summary.familiarity is not None and summary.familiarity.doubtful:
            warn_user(f"{folder}: {summary.familiarity.line}")
        return Result(ResultFolder(folder).zarr)

"""One model, one set of settings, one Dask cluster: what segments slide after slide."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from wsi_seg.errors import SchedulerError, WsiSegError
from wsi_seg.predict.predict_slide import connect, predict_on
from wsi_seg.predict.slide_of_run import open_slide
from wsi_seg.predict.unsuited import refuse_unsuited
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from distributed import Client

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.progress import Progress
    from wsi_seg.results.summary import Summary
    from wsi_seg.settings import PredictSettings


class Session:
    """Segments slides, one after another; the Dask cluster is opened when the first slide needs it.

    Parameters
    ----------
    bundle : ModelBundle
    settings : PredictSettings
        Of every slide.
    progress : Progress
    command : str
        What summaries say the results were made with.

    Raises
    ------
    UsageError, DeviceError, AnnotationError
        If the settings suit no slide: see `refuse_unsuited`.
    """

    def __init__(
        self, bundle: ModelBundle, settings: PredictSettings, progress: Progress, command: str
    ) -> None:
        refuse_unsuited(bundle, settings)
        self.bundle, self.settings, self.progress = bundle, settings, progress
        self._command = command
        self._stack = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the cluster, or the connection to it: the next slide gets one anew."""
        self._client = None
        self._stack.close()

    def settings_for(
        self, mpp: float | None = None, roi: Path | None = None, series: int | None = None
    ) -> PredictSettings:
        """Return the settings of one slide, whose resolution, regions of interest or image are its own."""
        own = (("mpp", mpp), ("roi", roi), ("series", series))
        given = {name: value for name, value in own if value is not None}
        labels = self.settings.labels.model_copy(update=given)
        return self.settings.model_copy(update={"labels": labels}) if given else self.settings

    def segment(self, slide: Path | Slide, out: Path, settings: PredictSettings | None = None) -> Summary:
        """Segment a slide into a result folder; resume an unfinished run there, if there is one.

        A cluster that may be of no more use is given up.

        Parameters
        ----------
        slide : Path or Slide
        out : Path
            The result folder of this slide.
        settings : PredictSettings, optional
            What `settings_for` returns; by default those of every slide.

        Raises
        ------
        WsiSegError
            If the slide, a setting, the device, the scheduler or the output folder fails. What is finished by
            then is kept.
        """
        settings = settings or self.settings
        if not isinstance(slide, Slide):
            with open_slide(slide, settings.labels) as opened:
                return self.segment(opened, out, settings)
        if self._client is None:
            self._client = self._stack.enter_context(connect(settings))
        try:
            return predict_on(self._client, slide, out, self.bundle, settings, self.progress, self._command)
        except Exception as error:
            if isinstance(error, SchedulerError) or not isinstance(error, WsiSegError):
                self.close()
            raise

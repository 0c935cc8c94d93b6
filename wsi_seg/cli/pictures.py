"""Plain images in `predict`: settings that have no effect on them are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.cli.flags import option_given
from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from wsi_seg.predict.jobs import Jobs
    from wsi_seg.settings import PredictSettings

USED = frozenset({"precision", "compile", "device", "overwrite"})
"""Settings that have an effect on a plain image; its files are always written again, even without
`overwrite`."""


def refuse_for_images(jobs: Jobs, for_slides: bool, settings: PredictSettings, base: PredictSettings) -> None:
    """Refuse settings that have no effect on the plain images among the jobs, so that nobody relies on them.

    Parameters
    ----------
    jobs : Jobs
    for_slides : bool
        Whether TIFFs are slides: see `wsi_seg.predict.jobs.is_plain_image`.
    settings : PredictSettings
    base : PredictSettings
        The pipeline's settings, before the command line's. They may repeat defaults.

    Raises
    ------
    UsageError
        If any setting outside of `USED` is given; before anything is done.
    """
    from wsi_seg.predict.jobs import is_plain_image

    images = [job for job in jobs.jobs if is_plain_image(job.path, for_slides)]
    if not images:
        return
    refused = [
        *_unused(settings.labels, base.labels, "labels"),
        *_unused(settings.export, base.export, "export"),
        *_unused(settings.run, base.run, "run"),
    ]
    if refused:
        _refuse(images[0].path.name, ", ".join(refused), mixed=len(images) < len(jobs.jobs))
    with_mpp = next((job for job in images if job.mpp is not None), None)
    if with_mpp is not None:
        _refuse(with_mpp.path.name, "mpp in the CSV file", mixed=False)


def _unused(settings: BaseModel, base: BaseModel, part: str) -> Iterator[str]:
    """Yield the given settings without effect on a plain image, by the names under which they were given."""
    for name, field in type(settings).model_fields.items():
        if name in USED or name not in settings.model_fields_set:
            continue
        value = getattr(settings, name)
        by_pipeline = name in base.model_fields_set and value == getattr(base, name)
        if not by_pipeline:
            yield option_given(name, value)
        elif value != field.default:
            yield f"predict.{part}.{name} in the pipeline"


def _refuse(image: str, what: str, mixed: bool) -> None:
    remedy = "predict slides and plain images separately" if mixed else "leave it out"
    raise UsageError(f"{what}: has no effect on a plain image such as {image}: {remedy}")

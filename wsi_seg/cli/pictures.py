"""Plain images among what is to be predicted: what of the settings means nothing for them is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from wsi_seg.predict.jobs import Jobs
    from wsi_seg.settings import PredictSettings

USED = frozenset({"precision", "compile", "device", "overwrite"})
"""Settings that a plain image goes by; its files are written anew whether `overwrite` says so or not."""

OPTIONS = {"simplify_um": "--simplify", "min_area_um2": "--min-area"}
"""Options that are not called what their setting is."""


def option_name(setting: str) -> str:
    """Return the option that a setting is given by."""
    return OPTIONS.get(setting, f"--{setting.replace('_', '-')}")


def refuse_for_images(jobs: Jobs, for_slides: bool, settings: PredictSettings, base: PredictSettings) -> None:
    """Refuse what means nothing for the plain images among the jobs, so that nobody believes in it.

    Parameters
    ----------
    jobs : Jobs
    for_slides : bool
        Whether TIFFs are slides: see `wsi_seg.predict.jobs.is_plain_image`.
    settings : PredictSettings
    base : PredictSettings
        What the settings were made from: a pipeline's, which may state what is so anyway.

    Raises
    ------
    UsageError
        If anything is given beside what `USED` names, before anything is done.
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
    """Yield what is given and does nothing for a plain image, by the names that it was given by."""
    for name, field in type(settings).model_fields.items():
        if name in USED or name not in settings.model_fields_set:
            continue
        value = getattr(settings, name)
        by_pipeline = name in base.model_fields_set and value == getattr(base, name)
        if not by_pipeline:
            yield option_name(name) if value is not False else f"--no-{option_name(name)[2:]}"
        elif value != field.default:
            yield f"predict.{part}.{name} in the pipeline"


def _refuse(image: str, what: str, mixed: bool) -> None:
    remedy = "predict slides and plain images apart" if mixed else "leave it out"
    raise UsageError(f"{what}: means nothing for a plain image such as {image}: {remedy}")

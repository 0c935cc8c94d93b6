"""What suits no slide is refused once, before the first of them begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.files.plain_files import check_plain
from wsi_seg.inference.network.choice import choose_form
from wsi_seg.inference.network.devices import NEEDS_GPU, choose_device
from wsi_seg.models.registry import GIVEN, ONNX, REGISTER
from wsi_seg.predict.sizes import DEFAULT_PATCH, patch_and_halo

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.settings import PredictSettings


def refuse_unsuited(bundle: ModelBundle, settings: PredictSettings) -> None:
    """Refuse settings that suit no slide with this model, on this machine.

    Raises
    ------
    UsageError
        If sizes do not fit the network or each other, there is no device of this name, the network cannot run
        in the form or precision that is asked for, or is known to this process alone and the settings name a
        cluster.
    DeviceError
        If this machine lacks the device.
    AnnotationError
        If the file of the regions of interest is not there.
    """
    labels, run, name = settings.labels, settings.run, bundle.architecture.name
    if run.scheduler is None:
        device = choose_device(run.device)
        if labels.compile == "yes" or name == ONNX:
            choose_form(bundle.architecture.config, device, labels.precision, labels.compile)
        if labels.precision == "float16" and device == "cpu":
            raise UsageError(NEEDS_GPU)
    elif name == GIVEN:
        raise UsageError(
            f"{bundle.name}: its network was given in Python, and is in this process alone: leave the "
            f"scheduler out, or {REGISTER}, where all workers find it"
        )
    if (labels.patch, labels.overlap) != (None, None):
        patch_and_halo(labels, bundle.architecture.config, DEFAULT_PATCH)  # they fit any slide, or none
    if labels.roi is not None:
        _require(labels.roi)


def _require(roi: Path) -> None:
    try:
        check_plain(roi)
    except OSError as error:
        raise AnnotationError(
            f"{roi}: cannot be read ({error.strerror}): give an annotation file, such as GeoJSON"
        ) from error

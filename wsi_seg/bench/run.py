"""A whole comparison: every network at every setting, each beside ESPNet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from wsi_seg.bench.catalogue import PAPER, REFERENCE
from wsi_seg.bench.machine import describe_machine
from wsi_seg.bench.measure import measure, time_single
from wsi_seg.bench.runner import Setting
from wsi_seg.bench.subject import find_subject
from wsi_seg.bench.timing import Limits, OutOfMemoryError
from wsi_seg.errors import UsageError
from wsi_seg.models.espnet import ENCODER_STRIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsi_seg.bench.measure import Row
    from wsi_seg.bench.runner import Form
    from wsi_seg.bench.subject import Subject
    from wsi_seg.inference.segmenter import Precision


SMALL = 64


@dataclass(frozen=True)
class BenchRequest:
    """What to compare, where and how.

    Attributes
    ----------
    networks : tuple of str
        Names of the catalogue, or models; none stands for the paper's comparison.
    sizes : tuple of (int, int)
        Width and height of the image.
    devices : tuple of str
        As `choose_device` gives them.
    precisions : tuple of Precision
    forms : tuple of Form
    limits : Limits
        For each network at each setting.
    system : bool
        Whether to read the machine's meters too.
    """

    networks: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    devices: tuple[str, ...]
    precisions: tuple[Precision, ...]
    forms: tuple[Form, ...]
    limits: Limits
    system: bool = False


@dataclass
class Report:
    """What has been measured so far.

    Attributes
    ----------
    machine : str
        In one line.
    limits : Limits
    rows : list of Row
    remarks : list of str
        What concerns no row alone.
    """

    machine: str
    limits: Limits
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def reference(self, row: Row) -> Row | None:
        """Return ESPNet's row at the same setting."""
        same = (r for r in self.rows if r.network == REFERENCE and r.setting == row.setting)
        return next(same, None)


class Bench:
    """A comparison that is ready to run.

    Parameters
    ----------
    request : BenchRequest

    Raises
    ------
    UsageError
        If a network is not known, a size does not fit, or nothing is left to measure.
    ModelError
        If a model file cannot be read.
    """

    def __init__(self, request: BenchRequest) -> None:
        for width, height in request.sizes:
            _check_size(width, height)
        self._request = request
        self.report = Report(describe_machine(), request.limits)
        self._settings = [
            Setting(*size, device, precision, form)
            for size, device, precision, form in product(
                request.sizes, request.devices, request.precisions, request.forms
            )
            if not (precision == "float16" and device == "cpu")
        ]
        if not self._settings:
            raise UsageError("--precision float16 needs a GPU: use float32 or bfloat16")
        names = dict.fromkeys((REFERENCE, *(request.networks or PAPER)))
        self._subjects = [find_subject(name) for name in names]

    def run(self, listen: Callable[[Row], None]) -> None:
        """Measure, and tell of each row; `report` holds them, also if this is broken off."""
        self._load_libraries()
        for setting in self._settings:
            for subject in self._subjects:
                row = measure(subject, setting, self._request.limits, self._request.system)
                self.report.rows.append(row)
                listen(row)
            self._time_again(self._subjects[0], setting)

    def _load_libraries(self) -> None:
        """Run a network once, lest what PyTorch loads then be counted as the first one's memory."""
        for setting in self._settings:
            small = replace(setting, width=SMALL, height=SMALL)
            with suppress(OutOfMemoryError):
                time_single(self._subjects[0], small, Limits(1, 0))

    def _time_again(self, subject: Subject, setting: Setting) -> None:
        """Time ESPNet once more, after all others: the machine may not run as it did."""
        first = next(row for row in self.report.rows if row.setting == setting)
        if first.single is None or len(self._subjects) == 1:
            return
        again = time_single(subject, setting, self._request.limits)
        slower = again.seconds.median / first.single.seconds.median
        self.report.remarks.append(
            f"{setting}: after the other networks, {subject.title} took {slower:.2f} times as long as before"
        )


def _check_size(width: int, height: int) -> None:
    if width % ENCODER_STRIDE or height % ENCODER_STRIDE:
        fit = [-(-side // ENCODER_STRIDE) * ENCODER_STRIDE for side in (width, height)]
        raise UsageError(
            f"--size {width}x{height}: sides must be multiples of {ENCODER_STRIDE}: use {fit[0]}x{fit[1]}"
        )

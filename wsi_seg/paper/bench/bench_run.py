"""A whole comparison: every network at every setting, each compared with ESPNet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.models.network import ENCODER_STRIDE
from wsi_seg.paper.bench.bench_runner import Setting
from wsi_seg.paper.bench.catalogue import PAPER, REFERENCE
from wsi_seg.paper.bench.machine import describe_machine
from wsi_seg.paper.bench.subject import find_subject
from wsi_seg.paper.bench.timing import Limits
from wsi_seg.paper.bench.trial import SYSTEM_SHARE, Row, Trial
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsi_seg.inference.network.choice import Precision
    from wsi_seg.paper.bench.bench_runner import Form


SMALL, ONCE = 64, Limits(repeats=1, seconds=0, rounds=1)


@dataclass(frozen=True)
class BenchRequest:
    """The request for a comparison.

    Attributes
    ----------
    networks : tuple of str
        Names from the catalogue, or models; an empty tuple stands for the paper's comparison.
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
    """The measurements so far.

    Attributes
    ----------
    machine : str
        In one line.
    limits : Limits
    rows : list of Row
    """

    machine: str
    limits: Limits
    rows: list[Row] = field(default_factory=list)

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

    def run(self, say: Callable[[str], None]) -> None:
        """Measure, and report the progress; `report` has what is done, also after an interruption."""
        if "cpu" in self._request.devices and "float16" in self._request.precisions:
            say("cpu, float16: left out, as it needs a GPU")
        networks, settings, seconds = len(self._subjects), len(self._settings), self._request.limits.seconds
        minutes = networks * settings * seconds * (1 + SYSTEM_SHARE * self._request.system) / 60
        say(
            f"{counted(networks, 'networks')}, {counted(settings, 'settings')}, {seconds:g} s for each: "
            f"{max(minutes, 1):.0f} min, "
            "and more if a pass takes seconds"
        )
        self._load_libraries()
        for setting in self._settings:
            trials = [Trial(subject, setting, self._request.limits) for subject in self._subjects]
            try:
                self._run(setting, trials, say)
            except KeyboardInterrupt:
                self.report.rows += [trial.row() for trial in trials]
                raise

    def _run(self, setting: Setting, trials: list[Trial], say: Callable[[str], None]) -> None:
        """Time networks in turn, then finish one after another; those left in the list are not finished."""
        rounds = self._request.limits.rounds
        for turn in range(rounds):
            say(f"{setting}: round {turn + 1} of {rounds}")
            for trial in trials:
                trial.time_single()
        while trials:
            row = trials[0].finish(self._request.system)
            self.report.rows.append(row)
            del trials[0]  # frees its memory
            took = "not run" if row.single is None else f"{1000 * row.single.seconds.median:.1f} ms"
            say(f"  {row.title}: {took}")

    def _load_libraries(self) -> None:
        """Run a network once, so that what PyTorch loads does not count as the first network's memory."""
        small = (replace(setting, width=SMALL, height=SMALL) for setting in self._settings)
        for setting in dict.fromkeys(small):
            Trial(self._subjects[0], setting, ONCE).time_single()


def _check_size(width: int, height: int) -> None:
    if width % ENCODER_STRIDE or height % ENCODER_STRIDE:
        fit = [-(-side // ENCODER_STRIDE) * ENCODER_STRIDE for side in (width, height)]
        raise UsageError(
            f"--size {width}x{height}: sides must be multiples of {ENCODER_STRIDE}: use {fit[0]}x{fit[1]}"
        )

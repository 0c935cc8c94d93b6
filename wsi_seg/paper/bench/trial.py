"""Measure one network at one setting: its cost and its time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.inference.network.forms import DTYPES
from wsi_seg.models.cost import activation_peak, count_macs
from wsi_seg.paper.bench import ncu
from wsi_seg.paper.bench.bench_runner import Runner
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.peak_memory import PeakMemory, fits, running_out
from wsi_seg.paper.bench.power import gpu_meter
from wsi_seg.paper.bench.system import observe
from wsi_seg.paper.bench.timing import (
    WARM_UP,
    Limits,
    OutOfMemoryError,
    Spread,
    Timed,
    search_batch,
    time_passes,
)

if TYPE_CHECKING:
    from wsi_seg.paper.bench.bench_runner import Setting
    from wsi_seg.paper.bench.catalogue import Group
    from wsi_seg.paper.bench.missing import Reading
    from wsi_seg.paper.bench.subject import Subject
    from wsi_seg.paper.bench.system import SystemFigures

SEARCH_SHARE, BATCHES_TIMED = 0.5, 4
"""Share of the time for the search for the best batch, and the number of batches in which it is divided."""

SYSTEM_SHARE = 1 / 3
"""Additional share of the time for the machine's meters."""

PROFILED = 4
"""Largest number of images for a network under Nsight Compute, which runs each kernel several times and
restores memory each time. A large batch would take minutes."""

SLACK = 2
"""Factor by which a pass may need more memory than its maps, for the workspace of convolutions."""


@dataclass(frozen=True)
class Cost:
    """The cost of a network for one image, counted and not measured.

    Attributes
    ----------
    parameters, file_bytes : int
        As the subject has them.
    macs : int
        Multiply-accumulates.
    activation_bytes : int
        Peak memory of the maps.
    """

    parameters: int
    file_bytes: int
    macs: int
    activation_bytes: int

    @classmethod
    def of(cls, subject: Subject, setting: Setting) -> Cost:
        """Count."""
        network, dtype = subject.network, DTYPES[setting.precision]
        macs = count_macs(network, setting.height, setting.width)
        maps = activation_peak(network, setting.height, setting.width, dtype)
        return cls(subject.parameters, subject.file_bytes, macs, maps)


@dataclass(frozen=True)
class Row:
    """All figures of one network at one setting.

    Attributes
    ----------
    network, title : str
    group : Group
    cost : Cost
    setting : Setting
    single : Timed or None
        Times at batch 1; None if that does not fit into memory.
    best : Timed or None
        Times at the batch that gives the most images a second.
    memory, best_memory : float or Missing
        Peak memory in bytes, including weights, measured at these two batches.
    system : SystemFigures or None
        None unless asked for.
    remarks : tuple of str
        Remarks on the measurement.
    """

    network: str
    title: str
    group: Group
    cost: Cost
    setting: Setting
    single: Timed | None
    best: Timed | None
    memory: Reading
    best_memory: Reading
    system: SystemFigures | None = None
    remarks: tuple[str, ...] = ()


class Trial:
    """The measurement of one network at one setting.

    Parameters
    ----------
    subject : Subject
    setting : Setting
    limits : Limits
        Half of the time goes to batch 1, in rounds; half to the search for the best batch.

    Raises
    ------
    ValueError
        If the network does not take images of that size.
    """

    def __init__(self, subject: Subject, setting: Setting, limits: Limits) -> None:
        self._subject, self._setting, self._limits = subject, setting, limits
        self._device = torch.device(setting.device)
        self._cost = Cost.of(subject, setting)
        self._weights = _weight_bytes(subject, setting)
        self._runner: Runner | None = None
        self._failure = ""
        self._seconds: list[float] = []
        self._memory: dict[int, Reading] = {}

    def time_single(self) -> None:
        """Time batch 1, for one round; if it fails, later rounds do not try it."""
        if self._failure:
            return
        if not self._roomy(1):
            self._failure = "not run: too little memory for one image"
            return
        try:
            if self._runner is None:
                with running_out():
                    self._runner = Runner(self._subject.bundle, self._setting)
            self._seconds += self._time(self._runner, 1, (1 - SEARCH_SHARE) / self._limits.rounds)
        except OutOfMemoryError:
            self._failure = "out of memory at one image"

    def row(self) -> Row:
        """Return a row of the figures so far, with batch 1 only."""
        subject, lacking = self._subject, Missing("out of memory")
        row = Row(
            *(subject.name, subject.title, subject.group, self._cost, self._setting),
            *(None, None, lacking, lacking),
        )
        if self._failure:
            return replace(row, remarks=(self._failure,))
        if self._runner is None or not self._seconds:
            return replace(row, remarks=("not run",))
        single, memory = Timed(1, Spread.of(self._seconds)), self._memory[1]
        remarks = (self._runner.remark,) if self._runner.remark else ()
        return replace(row, single=single, best=single, memory=memory, best_memory=memory, remarks=remarks)

    def finish(self, system: bool) -> Row:
        """Search for the best batch, and return the complete row.

        Parameters
        ----------
        system : bool
            Whether to read the machine's meters, too, which takes a third more time.
        """
        row = self.row()
        if self._runner is None or row.single is None:
            return row
        best, ended = self._search(self._runner, row.single)
        return replace(
            row,
            best=best,
            best_memory=self._memory[best.batch],
            system=_observe(self._runner, self._subject, best.batch, self._limits) if system else None,
            remarks=(*row.remarks, ended) if ended else row.remarks,
        )

    def _search(self, runner: Runner, single: Timed) -> tuple[Timed, str]:
        def measure(batch: int) -> Timed:
            return Timed(batch, Spread.of(self._time(runner, batch, SEARCH_SHARE / BATCHES_TIMED)))

        return search_batch(single, measure, self._roomy, SEARCH_SHARE * self._limits.seconds)

    def _time(self, runner: Runner, batch: int, share: float) -> list[float]:
        """Time passes over a batch, in a share of the time, and note their memory."""
        seconds, peak = share * self._limits.seconds, PeakMemory(self._device)
        known = batch == 1 and self._seconds
        warm_up = WARM_UP if not known else int(self._seconds[-1] < seconds)
        times = time_passes(runner.passes(batch), self._limits.repeats, seconds, warm_up)
        # Of the first round, which allocates everything that later rounds use again.
        self._memory.setdefault(batch, _plus(peak.read(), self._weights))
        return times

    def _roomy(self, batch: int) -> bool:
        return fits(self._device, SLACK * batch * self._cost.activation_bytes)


def _observe(runner: Runner, subject: Subject, batch: int, limits: Limits) -> SystemFigures:
    """Read the machine's meters at the best batch; Nsight Compute at one of `PROFILED` at most."""
    setting, on_gpu = runner.setting, runner.device.type == "cuda"
    efficiency = (
        ncu.profile([subject.name, str(min(batch, PROFILED)), *setting.as_arguments()])
        if on_gpu
        else ncu.Efficiency.missing("no GPU in use")
    )
    run = runner.passes(batch)
    run()
    return observe(run, batch, gpu_meter(runner.device), SYSTEM_SHARE * limits.seconds, efficiency)


def _weight_bytes(subject: Subject, setting: Setting) -> int:
    """Count the bytes of the weights, and all that is stored with them, in the setting's precision."""
    size = DTYPES[setting.precision].itemsize
    return sum(tensor.numel() * size for tensor in subject.network.state_dict().values())


def _plus(reading: Reading, more: float) -> Reading:
    return reading if isinstance(reading, Missing) else reading + more

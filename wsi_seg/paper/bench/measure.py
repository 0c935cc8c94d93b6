"""One network at one setting: what it costs, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.inference.network.forms import DTYPES
from wsi_seg.models.cost import activation_peak, count_macs
from wsi_seg.paper.bench import ncu
from wsi_seg.paper.bench.peak_memory import PeakMemory, fits, running_out
from wsi_seg.paper.bench.power import gpu_meter
from wsi_seg.paper.bench.reading import Missing
from wsi_seg.paper.bench.runner import Runner
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
    from wsi_seg.paper.bench.catalogue import Group
    from wsi_seg.paper.bench.reading import Reading
    from wsi_seg.paper.bench.runner import Setting
    from wsi_seg.paper.bench.subject import Subject
    from wsi_seg.paper.bench.system import SystemFigures

SEARCH_SHARE, BATCHES_TIMED = 0.5, 4
"""How much of the time goes to the search for the best batch, and into how many batches that divides."""

SYSTEM_SHARE = 1 / 3
"""How much time goes to the machine's meters, on top."""

PROFILED = 4
"""Images, at most, that go through a network under Nsight Compute, which runs each kernel several times and
restores what it wrote each time: minutes for a large batch."""

SLACK = 2
"""How much more memory a pass may need than its maps: what convolutions need for themselves."""


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image, counted and not measured.

    Attributes
    ----------
    parameters, file_bytes : int
        As the subject has them.
    macs : int
        Multiply-accumulates.
    activation_bytes : int
        Most memory for maps at any one time.
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
    """What was found out about one network at one setting.

    Attributes
    ----------
    network, title : str
    group : Group
    cost : Cost
    setting : Setting
    single : Timed or None
        At batch 1; None where that does not fit into memory.
    best : Timed or None
        At the batch that gives the most images a second.
    memory, best_memory : float or Missing
        Most bytes in use, weights included, measured at these two.
    system : SystemFigures or None
        None unless asked for.
    remarks : tuple of str
        What happened on the way.
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
    """One network at one setting, on its way to a row.

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
        """Time batch 1, for one round; where it fails, no further round tries."""
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
        """Put what is known so far into a row: no batch but 1 has been tried."""
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
        """Search for the best batch, and put all of it into a row.

        Parameters
        ----------
        system : bool
            Whether to watch the machine's meters too, for a third of the time on top.
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
        """Time passes over a batch, in a share of the time, and note the memory they take."""
        seconds, peak = share * self._limits.seconds, PeakMemory(self._device)
        known = batch == 1 and self._seconds
        warm_up = WARM_UP if not known else int(self._seconds[-1] < seconds)
        times = time_passes(runner.passes(batch), self._limits.repeats, seconds, warm_up)
        # The first round's, which had to make all that stays for the others.
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
    """Count what the weights, and all else that is stored with them, take in the setting's precision."""
    size = DTYPES[setting.precision].itemsize
    return sum(tensor.numel() * size for tensor in subject.network.state_dict().values())


def _plus(reading: Reading, more: float) -> Reading:
    return reading if isinstance(reading, Missing) else reading + more

"""One network at one setting: what it costs, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.bench import ncu
from wsi_seg.bench.memory import PeakMemory, fits, running_out
from wsi_seg.bench.power import gpu_meter
from wsi_seg.bench.reading import Missing
from wsi_seg.bench.runner import Runner
from wsi_seg.bench.system import observe
from wsi_seg.bench.timing import Limits, OutOfMemoryError, Spread, Timed, search_batch, time_passes
from wsi_seg.inference.segmenter import DTYPES
from wsi_seg.models.cost import activation_peak, count_macs

if TYPE_CHECKING:
    from wsi_seg.bench.catalogue import Group
    from wsi_seg.bench.reading import Reading
    from wsi_seg.bench.runner import Setting
    from wsi_seg.bench.subject import Subject
    from wsi_seg.bench.system import SystemFigures

SEARCH_SHARE, BATCHES_TIMED = 0.5, 4
"""How much of the time goes to the search for the best batch, and into how many batches that divides."""

SYSTEM_SHARE = 1 / 3

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


class _Stopwatch:
    """Times batches of one network, and notes the memory that each took."""

    def __init__(self, subject: Subject, setting: Setting, limits: Limits) -> None:
        self._limits = limits
        self._memory = PeakMemory(torch.device(setting.device))  # before the network is there
        with running_out():
            self.runner = Runner(subject.bundle, setting)
        self.memory: dict[int, Reading] = {}

    def time(self, batch: int, share: float) -> Timed:
        """Time a batch, in a share of the time."""
        self._memory.restart()
        limits = Limits(self._limits.repeats, share * self._limits.seconds)
        seconds = time_passes(self.runner.passes(batch), limits)
        self.memory[batch] = self._memory.read()
        return Timed(batch, Spread.of(seconds))

    def search(self, single: Timed, cost: Cost) -> tuple[Timed, str]:
        """Find the batch that gives the most images a second."""

        def roomy(batch: int) -> bool:
            return fits(self.runner.device, SLACK * batch * cost.activation_bytes)

        share = SEARCH_SHARE / BATCHES_TIMED
        return search_batch(
            single, lambda batch: self.time(batch, share), roomy, SEARCH_SHARE * self._limits.seconds
        )


def measure(subject: Subject, setting: Setting, limits: Limits, system: bool = False) -> Row:
    """Find out what a network costs at a setting, and time it.

    Parameters
    ----------
    subject : Subject
    setting : Setting
    limits : Limits
        Half of the time goes to batch 1, half to the search for the best batch.
    system : bool
        Whether to watch the machine's meters too, for a third of that time on top.

    Raises
    ------
    ValueError
        If the network does not take images of that size.
    """
    cost = Cost.of(subject, setting)
    lacking = Missing("out of memory")
    row = Row(subject.name, subject.title, subject.group, cost, setting, None, None, lacking, lacking)
    if not fits(torch.device(setting.device), SLACK * cost.activation_bytes):
        return replace(row, remarks=("not run: too little memory for one image",))
    try:
        watch = _Stopwatch(subject, setting, limits)
        single = watch.time(1, 1 - SEARCH_SHARE)
    except OutOfMemoryError:
        return replace(row, remarks=("out of memory at one image",))
    best, ended = watch.search(single, cost)
    return replace(
        row,
        single=single,
        best=best,
        memory=watch.memory[1],
        best_memory=watch.memory[best.batch],
        system=_observe(watch.runner, subject, best.batch, limits) if system else None,
        remarks=tuple(filter(None, (watch.runner.remark, ended))),
    )


def time_single(subject: Subject, setting: Setting, limits: Limits) -> Timed:
    """Time a network at batch 1 only."""
    return _Stopwatch(subject, setting, limits).time(1, 1 - SEARCH_SHARE)


def _observe(runner: Runner, subject: Subject, batch: int, limits: Limits) -> SystemFigures:
    """Read the machine's meters at the best batch."""
    setting, on_gpu = runner.setting, runner.device.type == "cuda"
    efficiency = (
        ncu.profile([subject.name, str(batch), *setting.as_arguments()])
        if on_gpu
        else ncu.Efficiency.missing("no GPU in use")
    )
    run = runner.passes(batch)
    run()
    return observe(run, batch, gpu_meter(runner.device), SYSTEM_SHARE * limits.seconds, efficiency)

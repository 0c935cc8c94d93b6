"""Energy, utilisation and clocks from the machine's own meters: NVML for a GPU, RAPL for a CPU."""

from __future__ import annotations

import math
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from wsi_seg.packages import ImportFault
from wsi_seg.paper.bench.missing import Missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from wsi_seg.paper.bench.missing import Reading

POWERCAP = Path("/sys/class/powercap")
SAMPLE_SECONDS = 0.05

STEADY = 0.02
"""Clocks that differ by less than this share count as one."""

PASSES_A_CLOCK = 3
"""Number of passes at one clock that are needed for its time."""


class CpuMeter:
    """RAPL: the energy that the processors' packages have used since this was made.

    Parameters
    ----------
    folder : Path
        Linux's powercap folder.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._why = ""
        self._packages: dict[Path, int] = {}
        try:
            for zone in sorted(folder.glob("intel-rapl:*")):  # AMD's processors have this name too
                if (zone / "name").read_text().startswith("package"):
                    self._packages[zone] = int((zone / "energy_uj").read_text())
        except PermissionError as error:
            self._why = f"{error.filename} may be read by root only"
        if not self._packages and not self._why:
            self._why = f"no RAPL counter in {folder}"

    def read(self) -> Reading:
        """Return joules."""
        if self._why:
            return Missing(self._why)
        total = 0
        for zone, begin in self._packages.items():
            now = int((zone / "energy_uj").read_text())
            turn = int((zone / "max_energy_range_uj").read_text()) if now < begin else 0
            total += now + turn - begin
        return total / 1e6


class GpuMeter(Protocol):
    """The figures of a GPU while it works."""

    def watts(self) -> float:
        """Power drawn now."""

    def busy(self) -> tuple[float, float]:
        """Percent of the last moments in which a kernel ran, and in which memory was read or written."""

    def clock(self) -> float:
        """Clock of the multiprocessors now, in MHz."""


class Nvml:
    """The meter of an NVIDIA GPU. Reads only: it sets no clock and no limit."""

    def __init__(self, nvml: ModuleType, device: torch.device) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        # By its UUID: CUDA_VISIBLE_DEVICES renumbers GPUs for PyTorch but not for NVML.
        uuid = torch.cuda.get_device_properties(device).uuid
        self._gpu: Any = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")

    def watts(self) -> float:
        """Power drawn now."""
        return float(self._nvml.nvmlDeviceGetPowerUsage(self._gpu)) / 1000

    def busy(self) -> tuple[float, float]:
        """Percent of the last moments in which a kernel ran, and in which memory was read or written."""
        rates = self._nvml.nvmlDeviceGetUtilizationRates(self._gpu)
        return float(rates.gpu), float(rates.memory)

    def clock(self) -> float:
        """Clock of the multiprocessors now, in MHz."""
        return float(self._nvml.nvmlDeviceGetClockInfo(self._gpu, self._nvml.NVML_CLOCK_SM))


def gpu_meter(device: torch.device) -> GpuMeter | Missing:
    """Return the device's meter, or the reason why there is none."""
    if device.type != "cuda":
        return Missing("no GPU in use")
    try:
        import pynvml
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "bench")
        return Missing(f"needs {fault.package}, which {fault.says}")
    try:
        meter = Nvml(pynvml, device)
        meter.watts(), meter.busy(), meter.clock()
    except pynvml.NVMLError as error:
        return Missing(f"NVML says: {error}")
    return meter


class GpuWatch:
    """Reads a meter repeatedly, in a thread of its own, between entering and leaving.

    Parameters
    ----------
    meter : GpuMeter or Missing
        If it is missing, so are the means.
    """

    def __init__(self, meter: GpuMeter | Missing) -> None:
        self._meter = meter
        self._samples: list[tuple[float, float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> GpuWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def means(self) -> tuple[Reading, Reading, Reading]:
        """Return the means of watts, and of percent that the GPU and its memory were busy."""
        if isinstance(self._meter, Missing):
            return self._meter, self._meter, self._meter
        watts, busy, memory_busy = (statistics.fmean(column) for column in zip(*self._samples, strict=True))
        return watts, busy, memory_busy

    def _ask(self) -> None:
        if isinstance(self._meter, Missing):
            return
        while True:
            self._samples.append((self._meter.watts(), *self._meter.busy()))
            if self._stop.wait(SAMPLE_SECONDS):
                return


@dataclass(frozen=True)
class Pass:
    """One pass: its time, and the clock before it in MHz, if there is a meter."""

    seconds: float
    clock: float


def time_at_clocks(
    run: Callable[[], None],
    meter: GpuMeter | Missing,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Pass]:
    """Time passes for some seconds, with the clock that the GPU chose for each."""
    passes: list[Pass] = []
    end = clock() + seconds
    while not passes or clock() < end:
        found = math.nan if isinstance(meter, Missing) else meter.clock()
        begin = clock()
        run()
        passes.append(Pass(clock() - begin, found))
    return passes


def frequency_sensitivity(passes: list[Pass]) -> Reading:
    """Compare the slowest and the fastest clock found: % change of time over % change of frequency.

    1 is a network limited by arithmetic alone; 0 is one that does not depend on the clock.
    """
    times: dict[float, list[float]] = {}
    for one in passes:
        times.setdefault(one.clock, []).append(one.seconds)
    clocks = sorted(found for found, seconds in times.items() if len(seconds) >= PASSES_A_CLOCK)
    if not clocks:
        return Missing("too few passes")
    slow, fast = clocks[0], clocks[-1]
    if (fast - slow) / fast < STEADY:
        return Missing(f"one frequency only ({fast:g} MHz)")
    # The ratio of logarithms: % over % for small changes, and for large ones the same whichever way they go.
    change = statistics.median(times[slow]) / statistics.median(times[fast])
    return math.log(change) / math.log(fast / slow)

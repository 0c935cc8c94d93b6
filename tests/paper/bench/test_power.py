"""Meters of the tests' own in place of the machine's."""

from __future__ import annotations

import itertools
import sys
import types
from pathlib import Path

import pytest
import torch

from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.ncu import Efficiency
from wsi_seg.paper.bench.power import CpuMeter, Pass, frequency_sensitivity, gpu_meter, time_at_clocks
from wsi_seg.paper.bench.system import observe


def make_zone(folder: Path, number: str, name: str, microjoules: int) -> Path:
    zone = folder / f"intel-rapl:{number}"
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{name}\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("1000000000\n")
    return zone


def test_packages_are_added_up_and_counters_turn_over(tmp_path: Path) -> None:
    first = make_zone(tmp_path, "0", "package-0", 5_000_000)
    second = make_zone(tmp_path, "1", "package-1", 999_000_000)
    make_zone(tmp_path, "0:0", "core", 1)
    meter = CpuMeter(tmp_path)
    (first / "energy_uj").write_text("8000000\n")
    (second / "energy_uj").write_text("1000000\n")
    assert meter.read() == pytest.approx(3 + 2)


def test_no_counter_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CpuMeter(tmp_path).read() == Missing(f"no RAPL counter in {tmp_path}")
    zone = make_zone(tmp_path, "0", "package-0", 5)

    def refuse(path: Path, *_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    assert CpuMeter(tmp_path).read() == Missing(f"{zone / 'name'} may be read by root only")


def at(clock: float, *seconds: float) -> list[Pass]:
    return [Pass(one, clock) for one in seconds]


def test_sensitivity_compares_the_ends_of_the_clocks_found() -> None:
    bound = at(1000, 2, 2, 2) + at(1500, 1, 9, 4) + at(2000, 1, 1, 1)
    assert frequency_sensitivity(bound) == pytest.approx(1)  # half the clock, twice the time
    assert frequency_sensitivity(at(1000, 1, 1, 1) + at(2000, 1, 1, 1)) == pytest.approx(0)
    # A clock that was seen once tells nothing.
    assert frequency_sensitivity(at(500, 9) + bound) == pytest.approx(1)


def test_one_frequency_tells_no_sensitivity() -> None:
    assert frequency_sensitivity(at(1980, 1, 1, 1) + at(1965, 2, 2, 2)) == Missing(
        "one frequency only (1980 MHz)"
    )
    assert frequency_sensitivity(at(1980, 1)) == Missing("too few passes")


class Meter:
    """A GPU's meter that shows the same always, but for the clock."""

    def __init__(self) -> None:
        self._clocks = itertools.cycle([1000.0, 2000.0])

    def watts(self) -> float:
        return 200.0

    def busy(self) -> tuple[float, float]:
        return 90.0, 40.0

    def clock(self) -> float:
        return next(self._clocks)


def test_each_pass_is_kept_with_the_clock_found_before_it() -> None:
    now = itertools.count()
    passes = time_at_clocks(lambda: None, Meter(), 6, lambda: float(next(now)))
    assert [one.clock for one in passes] == [1000, 2000]
    assert [one.seconds for one in passes] == [1, 1]


def test_energy_is_power_over_time_for_each_image() -> None:
    seen = observe(lambda: None, 4, Meter(), 0.05, Efficiency.missing("not here"))
    assert (seen.gpu_watts, seen.gpu_busy, seen.gpu_memory_busy) == (200, 90, 40)
    assert isinstance(seen.gpu_joules, float)
    assert 0 < seen.gpu_joules < 200 * 0.06 / 4
    assert seen.readings()["warp_efficiency_percent"] == Missing("not here")


def test_without_a_gpu_its_meter_is_missing() -> None:
    assert gpu_meter(torch.device("cpu")) == Missing("no GPU in use")
    seen = observe(lambda: None, 1, Missing("none"), 0, Efficiency.missing("none"))
    assert seen.gpu_watts == seen.gpu_joules == seen.frequency_sensitivity == Missing("none")


class NvmlError(Exception):
    """What a broken driver gives."""


def fake_nvml(watts: int | None) -> types.ModuleType:
    """A stand-in for nvidia-ml-py that knows one GPU."""
    nvml = types.ModuleType("pynvml")

    def power(gpu: str) -> int:
        if watts is None:
            raise NvmlError("Not Supported")
        return 1000 * watts

    nvml.__dict__.update(
        NVMLError=NvmlError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID={"GPU-12-ab": "gpu"}.__getitem__,
        nvmlDeviceGetPowerUsage=power,
        nvmlDeviceGetUtilizationRates=lambda gpu: types.SimpleNamespace(gpu=88, memory=33),
        nvmlDeviceGetClockInfo=lambda gpu, kind: 1980,
    )
    return nvml


def test_nvml_is_asked_for_the_gpu_that_pytorch_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(uuid="12-ab"))
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(350))
    meter = gpu_meter(torch.device("cuda"))
    assert not isinstance(meter, Missing)
    assert (meter.watts(), meter.busy(), meter.clock()) == (350, (88, 33), 1980)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(None))
    assert gpu_meter(torch.device("cuda")) == Missing("NVML says: Not Supported")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_meter(torch.device("cuda")) == Missing(
        "needs pynvml, which is not installed: pip install 'wsi-seg[bench]'"
    )

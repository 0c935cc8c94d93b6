"""Comparisons of small networks on small images, on the CPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsi_seg.errors import DeviceError, UsageError
from wsi_seg.paper.bench import trial as measuring
from wsi_seg.paper.bench.bench_run import Bench, BenchRequest
from wsi_seg.paper.bench.bench_runner import Runner, Setting
from wsi_seg.paper.bench.catalogue import CATALOGUE, PAPER, REFERENCE
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.peak_memory import fits, running_out
from wsi_seg.paper.bench.subject import Subject, find_subject
from wsi_seg.paper.bench.timing import Limits, OutOfMemoryError
from wsi_seg.paper.bench.trial import Row, Trial

QUICK = Limits(1, 0.0, 2)
SMALL = Setting(64, 32, "cpu", "float32", "plain")
REQUEST = BenchRequest((REFERENCE,), ((64, 32),), ("cpu",), ("float32",), ("plain",), QUICK)


def measure(subject: Subject, setting: Setting, limits: Limits) -> Row:
    trial = Trial(subject, setting, limits)
    for _ in range(limits.rounds):
        trial.time_single()
    return trial.finish(system=False)


def test_the_catalogue_has_the_papers_networks() -> None:
    names = [entry.name for entry in CATALOGUE]
    assert len(set(names)) == len(names)
    assert set(PAPER) <= set(names)
    reported = {"espnet": 364_569, "espnet-q3": 202_649, "espnet-c": 187_529}
    for name, parameters in reported.items():
        assert find_subject(name).parameters == parameters


def test_a_network_is_the_same_whatever_was_drawn_before() -> None:
    state = torch.random.get_rng_state()
    subject = find_subject("espnet-q3")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert subject.file_bytes > 4 * subject.parameters
    assert not subject.network.training


def test_a_model_file_is_a_subject(model_path: Path) -> None:
    subject = find_subject(str(model_path))
    assert (subject.title, subject.group) == ("test", "model")
    assert subject.file_bytes == model_path.stat().st_size


def test_an_unknown_network_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"^espnot: no such network: give a model file .* one of espnet, "):
        find_subject("espnot")


@pytest.mark.parametrize("form", ["plain", "predict"])
def test_a_network_is_measured_and_stays_as_it_is(form: str, model_path: Path) -> None:
    subject = find_subject(str(model_path))
    before = {name: tensor.clone() for name, tensor in subject.network.state_dict().items()}
    row = measure(subject, Setting.from_arguments(["64", "32", "cpu", "float32", form]), Limits(3, 0.3, 1))
    assert row.single is not None
    assert row.best is not None
    assert 1 <= row.single.seconds.count <= 3
    assert row.best.images_per_second >= row.single.images_per_second
    assert row.cost.parameters == subject.parameters
    assert any(remark.startswith("runs ") for remark in row.remarks) == (form == "predict")
    assert all(torch.equal(before[name], tensor) for name, tensor in subject.network.state_dict().items())
    if sys.platform == "linux":
        assert not isinstance(row.memory, Missing)


def test_every_setting_has_every_network_and_espnet_first(model_path: Path) -> None:
    request = replace(REQUEST, networks=(str(model_path),), sizes=((64, 32), (32, 32)), system=True)
    bench = Bench(request)
    said: list[str] = []
    bench.run(said.append)
    heard = bench.report.rows
    assert said[0] == "2 networks, 2 settings, 0 s for each: 1 min, and more if a pass takes seconds"
    assert [line.rpartition(": ")[2] for line in said[1:3]] == ["round 1 of 2", "round 2 of 2"]
    assert len(said) == 1 + 2 * (2 + 2)
    assert [(row.network, row.setting.width) for row in heard] == [
        *((REFERENCE, 64), (str(model_path), 64)),
        *((REFERENCE, 32), (str(model_path), 32)),
    ]
    assert bench.report.reference(heard[3]) is heard[2]
    assert all(row.single is not None and row.single.seconds.count == 2 for row in heard)
    assert heard[1].system is not None
    assert heard[1].system.gpu_watts == Missing("no GPU in use")
    assert heard[1].system.efficiency.warp == Missing("no GPU in use")


def test_one_network_and_one_setting_are_said_in_the_singular() -> None:
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Bench(REQUEST).run(stop)
    assert said == ["1 network, 1 setting, 0 s for each: 1 min, and more if a pass takes seconds"]


def test_what_is_broken_off_keeps_what_was_timed(model_path: Path) -> None:
    bench = Bench(replace(REQUEST, networks=(str(model_path),), sizes=((64, 32), (32, 32))))

    def stop_at_the_first_result(line: str) -> None:
        if line.startswith("  "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(stop_at_the_first_result)
    assert [row.network for row in bench.report.rows] == [REFERENCE, str(model_path)]
    assert bench.report.rows[1].best == bench.report.rows[1].single is not None


def test_sizes_and_precisions_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--size 1000x500: sides .* of 8: use 1000x504$"):
        Bench(replace(REQUEST, sizes=((1000, 500),)))
    with pytest.raises(UsageError, match="float16 needs a GPU"):
        Bench(replace(REQUEST, precisions=("float16",)))
    said: list[str] = []
    Bench(replace(REQUEST, precisions=("float16", "float32"))).run(said.append)
    assert said[0] == "cpu, float16: left out, as it needs a GPU"


def test_a_network_that_does_not_fit_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, model_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OutOfMemoryError

    subject = find_subject(str(model_path))
    monkeypatch.setattr(Runner, "passes", full)
    row = measure(subject, SMALL, QUICK)
    assert (row.single, row.best) == (None, None)
    assert row.remarks == ("out of memory at one image",)
    monkeypatch.setattr(measuring, "fits", lambda *_: False)
    assert measure(subject, SMALL, QUICK).remarks == ("not run: too little memory for one image",)


def test_out_of_memory_is_known_by_all_its_names() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
        DeviceError("cuda: out of memory at 2 patches"),
    ):
        with pytest.raises(OutOfMemoryError), running_out():
            raise error
    with pytest.raises(RuntimeError, match="something else"), running_out():
        raise RuntimeError("something else")


def test_an_allocation_beyond_all_memory_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemoryError), running_out():
        torch.empty(2**56)
    assert not fits(torch.device("cpu"), 2**56)
    assert fits(torch.device("cpu"), 2**20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak memory")
def test_the_peak_is_seen_after_it_is_gone() -> None:
    """In a process of its own: others' memory comes and goes in this one."""
    script = (
        "import torch; from wsi_seg.paper.bench.peak_memory import PeakMemory\n"
        "peak = PeakMemory(torch.device('cpu')); torch.ones(200 * 2**18).sum(); print(peak.read())\n"
        "print(PeakMemory(torch.device('cpu')).read())"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    seen, after = map(float, done.stdout.split())
    assert 200 * 2**20 <= seen < 400 * 2**20
    assert after < seen / 2


def test_bfloat16_runs_in_bfloat16(model_path: Path) -> None:
    bundle = find_subject(str(model_path)).bundle
    runner = Runner(bundle, replace(SMALL, precision="bfloat16"))
    runner.passes(2)()
    assert {tensor.dtype for tensor in runner._network.parameters()} == {torch.bfloat16}


def test_one_pass_runs_in_a_process_of_its_own_as_a_profiler_starts_it(model_path: Path) -> None:
    script = (
        "import torch, contextlib; torch.cuda.profiler.profile = contextlib.nullcontext\n"
        "from wsi_seg.paper.bench.one_pass import main\n"
        f"main({str(model_path)!r}, '1', *{SMALL.as_arguments()!r})"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

"""What `ncu --csv` prints, made by hand after its manual, and what is read out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsi_seg.paper.bench import ncu
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.ncu import DURATION, LOAD, SHARED, STORE, WARP, Efficiency, parse, profile

HEADING = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size",'
    '"Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
)


def line(kernel: int, metric: str, unit: str, value: str) -> str:
    return (
        f'"{kernel}","4242","python3.11","127.0.0.1","conv<float>(int, float*)","1","7",'
        f'"(256, 1, 1)","(1024, 1, 1)","0","9.0","Command line metrics","{metric}","{unit}","{value}"'
    )


SAMPLE = "\n".join(
    [
        "==PROF== Connected to process 4242 (/usr/bin/python3.11)",
        '==PROF== Profiling "conv": 0%....50%....100% - 5 passes',
        "==PROF== Disconnected from process 4242",
        HEADING,
        line(0, DURATION, "ns", "3,000.00"),
        line(0, WARP, "", "32"),
        line(0, LOAD, "%", "100"),
        line(0, STORE, "%", "50.00"),
        line(0, SHARED, "%", "n/a"),
        line(1, DURATION, "ns", "1,000.00"),
        line(1, WARP, "", "16.00"),
        line(1, LOAD, "%", "n/a"),
        line(1, STORE, "%", "90"),
        line(1, SHARED, "%", "(!) n/a"),
    ]
)


def test_efficiencies_are_weighted_by_time() -> None:
    found = parse(SAMPLE)
    # (3 * 32 + 1 * 16) / 4 lanes of 32
    assert found.warp == pytest.approx(87.5)
    assert found.load == pytest.approx(100)
    assert found.store == pytest.approx(60)
    assert found.shared == Missing("ncu gives no such metric on this GPU")


def test_no_kernels_say_why() -> None:
    refused = "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access counters.\n"
    assert parse(refused).warp == Missing(
        "ncu measured no kernel: ERR_NVGPUCTRPERM - The user does not have permission to access counters."
    )
    assert parse("").load == Missing("ncu measured no kernel: it does not say why")


def test_without_ncu_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert profile(["espnet"]) == Efficiency.missing("Nsight Compute (ncu) is not on the PATH")


def install(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "ncu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_ncu_is_asked_for_one_pass_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample.csv").write_text(SAMPLE)
    install(
        tmp_path,
        f'echo "$@" > {tmp_path}/asked\necho $LC_ALL >> {tmp_path}/asked\ncat {tmp_path}/sample.csv',
        monkeypatch,
    )
    assert profile(["espnet", "1"]).warp == pytest.approx(87.5)
    asked, locale = (tmp_path / "asked").read_text().splitlines()
    assert asked.startswith(
        "--csv --clock-control none --print-units base --profile-from-start off "
        "--metrics gpu__time_duration.sum,"
    )
    assert asked.endswith("-m wsi_seg.paper.bench.one_pass espnet 1")
    assert locale == "C"


def test_what_ncu_complains_of_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "echo '==ERROR== no driver'; exit 1", monkeypatch)
    assert profile(["espnet"]) == Efficiency.missing("ncu failed: no driver")
    install(tmp_path, "exec sleep 5", monkeypatch)
    monkeypatch.setattr(ncu, "SECONDS", 0.1)
    assert profile(["espnet"]) == Efficiency.missing("ncu took more than 0 s")

"""Devices by name, and what is known of PyTorch without importing it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from wsi_seg.errors import DeviceError, UsageError
from wsi_seg.inference.network import devices
from wsi_seg.inference.network.devices import choose_device, computing_cores, kind_of, torch_version


def test_devices_are_chosen_by_name() -> None:
    assert choose_device("cpu") == "cpu"
    assert kind_of("cuda:1") == "cuda"
    with pytest.raises(UsageError, match="cuda:N"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        assert choose_device("auto") == "cpu"
        with pytest.raises(DeviceError, match="--device cpu"):
            choose_device("cuda")


def test_where_there_may_be_a_gpu_pytorch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "may_have_gpu", lambda: True)
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert choose_device("auto") == expected


def test_the_version_is_that_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_version() == str(torch.__version__)
    monkeypatch.setattr(devices, "_stated", lambda: None)
    assert torch_version() == str(torch.__version__)


@pytest.mark.parametrize("threads", [None, "1", "3"])
def test_as_many_cores_are_used_as_by_pytorch(threads: str | None) -> None:
    code = """if True:
        import sys
        from wsi_seg.inference.network.devices import computing_cores
        before = computing_cores()
        assert "torch" not in sys.modules
        import torch
        print(before, torch.get_num_threads(), computing_cores())
        torch.set_num_threads(2)
        assert computing_cores() == 2
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if threads is None else {"OMP_NUM_THREADS": threads}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert len(set(ran.stdout.split())) == 1
    assert computing_cores() == torch.get_num_threads()

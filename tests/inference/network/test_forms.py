from __future__ import annotations

import pytest
import torch
from helpers.networks import CONVOLUTIONS
from torch import nn

from wsi_seg.errors import KernelsError, UsageError
from wsi_seg.inference.fast.library import has_amx
from wsi_seg.inference.network import choice as choosing
from wsi_seg.inference.network.choice import Compile, choose_form
from wsi_seg.inference.network.forms import run_as
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec

ESPNET = ESPNetConfig(2, p=1, q=1)


@pytest.mark.usefixtures("kernels")
def test_an_espnet_is_compiled_by_itself() -> None:
    fastest = "amx" if has_amx() else "compiled"
    assert choose_form(ESPNET, "cpu", "float32", "auto").form == fastest
    assert choose_form(ESPNET, "cpu", "float32", "yes").form == "compiled"
    assert choose_form(ESPNET, "cpu", "float32", "no").form == "plain"


@pytest.mark.usefixtures("kernels")
def test_amx_is_taken_where_it_is_and_never_silently_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "has_amx", lambda: True)
    assert choose_form(ESPNET, "cpu", "float32", "auto").form == "amx"
    assert choose_form(ESPNET, "cpu", "float32", "amx").form == "amx"
    assert choose_form(ESPNET, "cpu", "bfloat16", "auto").form == "plain"
    monkeypatch.setattr(choosing, "has_amx", lambda: False)
    assert choose_form(ESPNET, "cpu", "float32", "auto").form == "compiled"
    with pytest.raises(UsageError, match=r"--compile amx: this processor has no AMX.*give --compile yes"):
        choose_form(ESPNET, "cpu", "float32", "amx")
    with pytest.raises(UsageError, match=r"--compile amx: AMX is part of some CPUs: give --device cpu"):
        choose_form(ESPNET, "cuda", "float32", "amx")
    with pytest.raises(UsageError, match=r"--compile amx: .*only ESPNets .* compiled: give --compile no"):
        choose_form(BiopsyConfig(2), "cpu", "float32", "amx")


@pytest.mark.parametrize("name", ["hff", "residual"])
def test_ablations_are_not(name: str) -> None:
    ablation = ESPNetConfig(2, p=1, q=1, **{name: False})  # type: ignore[arg-type]
    assert choose_form(ablation, "cpu", "float32", "auto").form == "plain"


def test_what_cannot_be_compiled_says_why() -> None:
    assert "bfloat16" in choose_form(ESPNET, "cpu", "bfloat16", "auto").why
    assert "only ESPNets as published" in choose_form(BiopsyConfig(2), "cpu", "float32", "auto").why
    with pytest.raises(UsageError, match=r"--compile yes: .*only ESPNets .* compiled: give --compile no"):
        choose_form(BiopsyConfig(2), "cpu", "float32", "yes")


def test_no_compiler_costs_speed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here() -> None:
        raise KernelsError("no C++ compiler")

    monkeypatch.setattr(choosing, "load_kernels", none_here)
    choice = choose_form(ESPNET, "cpu", "float32", "auto")
    assert (choice.form, choice.why) == ("plain", "three times slower than compiled: no C++ compiler")
    with pytest.raises(UsageError, match=r"--compile yes: no C\+\+ compiler: give --compile no"):
        choose_form(ESPNET, "cpu", "float32", "yes")


@pytest.mark.parametrize(("wanted", "form"), [("auto", "plain"), ("yes", "compiled"), ("no", "plain")])
def test_a_gpu_records_graphs_where_asked_to(wanted: Compile, form: str) -> None:
    for config in (ESPNET, BiopsyConfig(2)):
        assert choose_form(config, "cuda:1", "float16", wanted).form == form


def test_float32_is_not_rounded_and_other_code_keeps_its_setting() -> None:
    seen: list[str] = []
    before = CONVOLUTIONS.fp32_precision

    class Watching(nn.Conv2d):
        output_stride = 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(CONVOLUTIONS.fp32_precision)
            return super().forward(x)

    spec = InputSpec(channels="rgb", mean=(0, 0, 0), std=(1, 1, 1))
    network = run_as("plain", Watching(3, 2, 1).eval(), spec, torch.device("cpu"))  # type: ignore[arg-type]
    network.best(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), 0)
    assert seen == ["ieee"]
    assert CONVOLUTIONS.fp32_precision == before

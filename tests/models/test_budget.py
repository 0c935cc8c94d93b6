"""Equal limits: what is found keeps to the budget, and the next larger would not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wsi_seg.models.block_names import BLOCK_TITLES, EQUAL_WIDTHS, BlockName, width_step
from wsi_seg.models.budget import fit_to_budget
from wsi_seg.models.cost import count_macs, count_parameters, describe
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig

ESPNET_C = ESPNetConfig(20, variant="C")


@pytest.mark.parametrize("block", BLOCK_TITLES)
def test_blocks_under_the_parameters_of_espnet_c(block: BlockName) -> None:
    fit = fit_to_budget(replace(ESPNET_C, block=block), parameters=187_529)
    assert fit.block_width == EQUAL_WIDTHS[block]
    assert count_parameters(ESPNet(fit)) <= 187_529
    wider = replace(fit, block_width=EQUAL_WIDTHS[block] + width_step(block))
    assert count_parameters(ESPNet(wider)) > 187_529


def test_all_limits_are_kept() -> None:
    macs = 2_159_435_776
    fit = fit_to_budget(replace(ESPNET_C, block="bottleneck"), parameters=10_000_000, macs=macs)
    assert count_macs(ESPNet(fit), 512, 1024) <= macs
    assert fit.block_width is not None
    wider = replace(fit, block_width=fit.block_width + 1)
    assert count_macs(ESPNet(wider), 512, 1024) > macs


def test_esp_modules_are_fitted_by_their_number() -> None:
    fit = fit_to_budget(ESPNET_C, parameters=252_297)
    assert (fit.q, count_parameters(ESPNet(fit))) == (5, 252_297)
    assert fit_to_budget(ESPNET_C, parameters=252_296).q == 4


def test_the_answer_says_what_was_reached() -> None:
    fit = fit_to_budget(replace(ESPNET_C, block="mobilenet"), parameters=187_529)
    assert "MobileNet blocks 133 wide): 186,789 parameters, 2.13 billion" in describe(ESPNet(fit))


@pytest.mark.parametrize("limits", [{}, {"parameters": 1000}, {"macs": 1000}])
def test_a_budget_that_nothing_keeps_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="budget"):
        fit_to_budget(replace(ESPNET_C, block="resnet"), **limits)

"""How a result that is there differs from the one asked for, in words."""

from __future__ import annotations

import pytest

from wsi_seg.predict.difference import how_made
from wsi_seg.predict.plan import LABELS_VERSION
from wsi_seg.results.record import Key

THERE: Key = {
    "slide": "1a",
    "slide content": "2b",
    "model": "3c",
    "mpp": [0.25, 0.25],
    "label mpp": [2.0, 2.0],
    "levels read": [0, 1],
    "patch": 1024,
    "precision": "float32",
    "network": "compiled",
    "tissue mask": True,
    "roi": None,
    "confidence": False,
    "version": LABELS_VERSION,
}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"confidence": True}, "made without --confidence"),
        (
            {"pixels around tissue": 128},
            "made by patches that look at more, or less, around tissue (--patch)",
        ),
        (
            {"rounded levels": "as stored"},
            "made by an earlier wsi-seg, which read the slide's coarser levels otherwise",
        ),
        ({"tissue mask": False}, "made with --tissue-mask"),
        ({"model": "4d"}, "made by another model"),
        ({"roi": "5e"}, "made without --roi"),
        ({"patch": 512, "confidence": True}, "made without --confidence and with --patch 1024, not 512"),
        ({"label mpp": [1.0, 1.0]}, "made at 2 um per px, not 1 (--working-mpp)"),
        (
            {"mpp": [0.5, 0.5020001], "label mpp": [2.0, 2.008]},
            "made of a slide of 0.25 um per px, not 0.5 x 0.502 (--mpp)",
        ),
        ({"levels read": [0]}, "made from other levels of the slide (--from-level-0)"),
        ({"network": "plain"}, "made with the compiled network, not the plain one (--compile)"),
        ({"adapt": "left as it is"}, "made without --adapt"),
        ({"slide": "6f", "model": "4d"}, "of another image in the same file (--series)"),
        ({"slide content": "6f", "model": "4d"}, "of another slide"),
    ],
)
def test_a_difference_is_said_by_the_option_that_makes_it(asked: Key, said: str) -> None:
    assert how_made(THERE, {**THERE, **asked}) == said


def test_other_regions_and_another_stain_are_no_matter_of_with_or_without() -> None:
    old: Key = {**THERE, "roi": "5e", "adapt": [[1, 2]]}
    new: Key = {**THERE, "roi": "6f", "adapt": [[3, 4]]}
    assert (
        how_made(old, new)
        == "made by another adaptation (--adapt) and with other regions of interest (--roi)"
    )

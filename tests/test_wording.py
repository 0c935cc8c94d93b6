"""One is not many."""

from __future__ import annotations

import pytest

from wsi_seg.wording import counted


@pytest.mark.parametrize(
    ("count", "what", "said"),
    [
        (0, "regions", "0 regions"),
        (1, "regions", "1 region"),
        (2, "regions", "2 regions"),
        (1, "outlines simplified less, for their class", "1 outline simplified less, for their class"),
        (1, "classes outlined", "1 class outlined"),
        (1, "vertices", "1 vertex"),
        (1, "tiles of 256 px", "1 tile of 256 px"),
    ],
)
def test_one_is_not_many(count: int, what: str, said: str):
    assert counted(count, what) == said

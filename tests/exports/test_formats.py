"""The table of formats: each name has a writer, and uses options that there are."""

from __future__ import annotations

from dataclasses import fields

import pytest

from wsi_seg.errors import UsageError
from wsi_seg.exports.formats import FORMATS, format_named
from wsi_seg.exports.options import Options


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_there_and_uses_options_that_there_are(name: str) -> None:
    chosen = format_named(name)
    assert callable(chosen.prepare)
    assert chosen.uses <= {field.name for field in fields(Options)}
    assert chosen.says


def test_every_option_is_used_by_a_format() -> None:
    assert frozenset().union(*(each.uses for each in FORMATS.values())) == {f.name for f in fields(Options)}


def test_a_format_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"^--format shp: use geojson.* or [\w-]+$"):
        format_named("shp")

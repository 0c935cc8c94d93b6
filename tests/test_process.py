"""What is one for a whole process is as it was once nobody needs it otherwise."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wsi_seg.process import WhileNeeded, silent


def test_a_change_lasts_from_the_first_who_needs_it_to_the_last() -> None:
    seen: list[str] = []

    @contextmanager
    def change() -> Iterator[None]:
        seen.append("made")
        yield
        seen.append("undone")

    changed = WhileNeeded(change)
    first, second = changed(), changed()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # out of order, as threads do it
    assert seen == ["made"]
    second.__exit__(None, None, None)
    assert seen == ["made", "undone"]
    with pytest.raises(KeyError), changed():
        raise KeyError
    assert seen == ["made", "undone", "made", "undone"]


def test_filters_are_as_they_were_though_threads_end_out_of_order() -> None:
    from wsi_seg.slides.picture import of_any_size

    before = list(warnings.filters)
    first, second = of_any_size(), of_any_size()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert warnings.filters != before
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_packages_are_silent_and_then_as_loud_as_before() -> None:
    parent, child = logging.getLogger("loud"), logging.getLogger("loud.child")
    child.setLevel(logging.DEBUG)
    with silent("loud"):
        assert not child.isEnabledFor(logging.CRITICAL)
        assert not logging.getLogger("loud.born_meanwhile").isEnabledFor(logging.CRITICAL)
        child.addHandler(logging.NullHandler())
        assert logging.getLogger("louder").isEnabledFor(logging.CRITICAL)
    assert (parent.level, child.level, child.handlers) == (logging.NOTSET, logging.DEBUG, [])
    assert logging.getLogger("loud.born_meanwhile").isEnabledFor(logging.CRITICAL)

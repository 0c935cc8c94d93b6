"""Found classes meet the truth's by name."""

from __future__ import annotations

import pytest

from wsi_seg.errors import UsageError
from wsi_seg.evaluation.matching import match_classes
from wsi_seg.evaluation.metrics import NONE_FOUND
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema, TissueClass


def schema(*names: str | tuple[str, ...], first_id: int = 0) -> ClassSchema:
    """A schema; a class given as a tuple has aliases after its name."""
    every = [(name,) if isinstance(name, str) else name for name in names]
    return ClassSchema(
        name="test",
        classes=tuple(
            TissueClass(id=i, name=name, color=(0, 0, 0), aliases=tuple(aliases))
            for i, (name, *aliases) in enumerate(every, first_id)
        ),
    )


def test_classes_in_another_order_with_other_ids_meet() -> None:
    table = match_classes(schema("b", "C", "a", first_id=10), schema("A", "B", "c"), "model")
    assert table[10:13].tolist() == [1, 2, 0]
    assert set(table[:10]) | set(table[13:]) == {NONE_FOUND}
    assert table[OUTSIDE_ID] == table[UNPROCESSED_ID] == NONE_FOUND


def test_what_the_truth_does_not_know_is_nothing_found() -> None:
    assert match_classes(schema("a", "b", "void"), schema("a", "b"), "model")[:3].tolist() == [
        0,
        1,
        NONE_FOUND,
    ]


def test_a_class_of_the_truth_gathers_several() -> None:
    truth = schema("rest", ("lesion", "in situ", "invasive"))
    found = schema("in situ", "rest", "invasive")
    assert match_classes(found, truth, "model")[:3].tolist() == [1, 0, 1]


def test_aliases_on_either_side_do() -> None:
    assert match_classes(schema(("a", "x"), "b"), schema("x", "b"), "model")[:2].tolist() == [0, 1]
    assert match_classes(schema("x", "b"), schema(("a", "x"), "b"), "model")[:2].tolist() == [0, 1]


def test_classes_that_cannot_be_found_are_all_named() -> None:
    with pytest.raises(UsageError, match=r"^m\.safetensors: its classes \(a, d\) lack 'b', 'c' of 'test'"):
        match_classes(schema("a", "d"), schema("a", "b", "c"), "m.safetensors")
    with pytest.raises(
        UsageError, match=r"^results/2: its classes \(a, d\) lack 'b' of results/1, which the truth has"
    ):
        match_classes(schema("a", "d"), schema("a", "b"), "results/2", "results/1")

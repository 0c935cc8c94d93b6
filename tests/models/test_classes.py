from __future__ import annotations

import pytest
from pydantic import ValidationError

from wsi_seg.models.classes import ClassSchema, Code, TissueClass

SCHEMA = ClassSchema(
    name="test",
    classes=(
        TissueClass(id=7, name="Other tissue", color=(0, 0, 0), aliases=("Rest", "TUMOUR cells")),
        TissueClass(id=3, name="Tumour", color=(1, 0, 0), aliases=("Tumor", "Carcinoma: Invasive", "stroma")),
        TissueClass(id=5, name="Stroma", color=(2, 0, 0)),
        TissueClass(id=6, name="tumour", color=(3, 0, 0)),
        TissueClass(id=8, name="Tumour: Necrotic", color=(4, 0, 0)),
    ),
)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("Tumour", 1),
        ("tumour", 3),
        ("TUMOUR", 1),
        ("  other \t tissue ", 0),
        ("rest", 0),
        ("tumor", 1),
        ("Tumour Cells", 0),
        ("Stroma", 2),
        ("stroma", 2),
        ("Tumour: Necrotic", 4),
        ("tumour :necrotic", 4),
        ("Tumour: Necrotic: Old", 4),
        ("Tumour: Positive", 1),
        ("Tumor: Positive: Weak", 1),
        ("carcinoma:invasive", 1),
        ("Carcinoma", None),
        ("Carcinoma: In situ", None),
        ("Necrotic", None),
        ("Positive: Tumour", None),
        ("Tumour*", None),
        ("", None),
        (":", None),
    ],
)
def test_a_class_is_found_by_what_annotations_call_it(name: str, index: int | None) -> None:
    assert SCHEMA.index_of(name) == index


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\tb", "\u202egpj", "\u2028", ""])
def test_names_that_cannot_be_shown_as_they_are_are_refused(name: str) -> None:
    for wrong in (
        lambda: TissueClass(id=1, name=name, color=(0, 0, 0)),
        lambda: TissueClass(id=1, name="a", color=(0, 0, 0), aliases=(name,)),
        lambda: ClassSchema(name=name, classes=SCHEMA.classes),
    ):
        with pytest.raises(ValidationError, match=r"holds control characters: take them out|at least 1 char"):
            wrong()


def test_a_class_without_a_code_is_stored_as_before_there_were_codes() -> None:
    bare = TissueClass(id=1, name="Blood", color=(1, 2, 3))
    assert bare.model_dump_json() == '{"id":1,"name":"Blood","color":[1,2,3],"aliases":[]}'
    coded = bare.model_copy(update={"code": Code(value="87612001", meaning="Blood")})
    assert '"code":{"value":"87612001","meaning":"Blood","scheme":"SCT"}' in coded.model_dump_json()
    assert TissueClass.model_validate_json(coded.model_dump_json()) == coded


@pytest.mark.parametrize("value", ["", "a b", "a\\b", "\u00e9", "1" * 65])
def test_a_code_is_one_that_dicom_can_hold(value: str) -> None:
    with pytest.raises(ValidationError):
        Code(value=value, meaning="Blood")

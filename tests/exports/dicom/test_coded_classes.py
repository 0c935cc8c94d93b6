"""Classes as DICOM has them: public codes where a schema has some, else private ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import SCHEMA
from pydicom.sr.codedict import Collection

from wsi_seg.errors import UsageError
from wsi_seg.exports.dicom.coded_classes import PRIVATE, TISSUE, code_classes
from wsi_seg.models.classes import UNPROCESSED_ID, ClassSchema, Code, TissueClass, load_schema

NOT_IN_DICOM = {"31610004"}
"""Codes of SNOMED CT that no list of DICOM's has."""


def test_the_shipped_codes_are_those_of_dicoms_lists() -> None:
    known = {
        (scheme, concept.value, concept.meaning.casefold())
        for scheme in ("SCT", "DCM")
        for concept in Collection(scheme).concepts.values()
    }
    classes, without = code_classes(load_schema("breast-biopsy"), set(range(8)))
    assert without == ()
    assert len({coded.code for coded in classes}) == 8
    for code in {code for coded in classes for code in (coded.code, coded.category)}:
        if code.value not in NOT_IN_DICOM:
            assert (code.scheme, code.value, code.meaning.casefold()) in known


def test_a_model_of_before_codes_gets_those_of_the_shipped_schema_of_its_name() -> None:
    bare = [{**c.model_dump(exclude={"code", "category"})} for c in load_schema("breast-biopsy").classes]
    old = ClassSchema.model_validate({"name": "breast-biopsy", "classes": bare})
    assert code_classes(old, {2})[0][0].code.meaning == "Carcinoma"
    other = old.model_copy(update={"name": "another"})
    assert code_classes(other, {2})[0][0].code.scheme == PRIVATE


def test_a_class_without_a_code_gets_one_of_its_own_that_stays() -> None:
    classes, without = code_classes(SCHEMA, {1, 2, UNPROCESSED_ID})
    assert without == ("Stroma", "Tumour")
    stroma, tumour, unprocessed = classes
    assert [coded.number for coded in classes] == [1, 2, 3]
    assert [coded.code.scheme for coded in classes] == [PRIVATE] * 3
    assert (stroma.code.meaning, stroma.category) == ("Stroma", TISSUE)
    assert re.fullmatch(r"[0-9a-f]{16}", stroma.code.value)
    assert stroma.code.value != tumour.code.value
    assert code_classes(SCHEMA, {1})[0][0].code == stroma.code
    assert unprocessed.code.value == "unprocessed"


def test_codes_are_taken_from_a_schema_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "codes.yaml"
    path.write_text(
        "name: codes\nclasses:\n"
        "  - {id: 9, name: tumour, color: [0, 0, 0], code: {value: '108369006', meaning: Neoplasm}}\n"
        "  - {id: 4, name: Other, color: [0, 0, 0]}\n"
    )
    classes, without = code_classes(SCHEMA, {1, 2}, str(path))
    assert (classes[1].code, without) == (Code(value="108369006", meaning="Neoplasm"), ("Stroma",))
    with pytest.raises(UsageError, match=r"^voc: a class schema without codes: give its classes a `code`"):
        code_classes(SCHEMA, {1, 2}, "voc")


def test_an_own_code_comes_first() -> None:
    own = Code(scheme="LN", value="1-8", meaning="something")
    kinds = (TissueClass(id=0, name="Blood", color=(0, 0, 0), code=own), *SCHEMA.classes[1:])
    schema = ClassSchema(name="breast-biopsy", classes=kinds)
    assert code_classes(schema, {0})[0][0].code == own

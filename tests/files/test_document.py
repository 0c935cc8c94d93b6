"""Stored documents: what older and newer ones lead to, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from wsi_seg.files.document import Document, DocumentError, NewerError, versioned


class Part(BaseModel):
    """A part that people write too, where a field that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int


class Second(Document):
    format_version: int = 2
    name: str
    parts: tuple[Part, ...] = ()


def stored(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_what_is_written_has_its_version_first_and_is_read_again(tmp_path: Path) -> None:
    document = Second(name="a", parts=(Part(count=3),))
    (tmp_path / "a.json").write_text(document.model_dump_json())
    assert next(iter(json.loads((tmp_path / "a.json").read_text()).items())) == ("format_version", 2)
    assert Second.read(tmp_path / "a.json", "make it again") == document
    assert versioned({"name": "a"}) == {"format_version": 1, "name": "a"}


@pytest.mark.parametrize("version", [{}, {"format_version": 1}, {"format_version": 2}])
def test_an_older_document_is_brought_to_the_form_of_today(tmp_path: Path, version: dict[str, int]) -> None:
    path = stored(tmp_path / "a.json", {"name": "a", **version})
    assert Second.read(path, "make it again") == Second(name="a")


def test_a_field_of_a_newer_wsi_seg_is_ignored_wherever_it_stands(tmp_path: Path) -> None:
    content = {"format_version": 2, "name": "a", "parts": [{"count": 3, "new": 1}], "new": {"x": [1]}}
    document = Second.read(stored(tmp_path / "a.json", content), "make it again")
    assert document == Second(name="a", parts=(Part(count=3),))
    assert "new" not in document.model_dump_json()


def test_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.json", {"format_version": 3, "title": "a"})
    with pytest.raises(NewerError) as refused:
        Second.read(path, "make it again")
    newer = "written by a newer wsi-seg (format 3, this one reads up to 2)"
    assert str(refused.value) == f"{path}: {newer}: upgrade wsi-seg"
    assert (refused.value.what, refused.value.remedy) == (newer, "upgrade wsi-seg")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "damaged (not JSON)"),
        (b'{"name": "a"', "damaged (not JSON)"),
        (b'{"name": "\xff"}', "damaged (not JSON)"),
        (b"[" * 100_000, "damaged (not JSON)"),
        (b"[]", "damaged (not a JSON object)"),
        (b"{}", "damaged (name: field required)"),
        (
            b'{"name": "a", "parts": [{"count": "x"}]}',
            "damaged (parts.0.count: input should be a valid integer",
        ),
        (b'{"name": "a", "format_version": 0}', "damaged (format_version is no version)"),
        (b'{"name": "a", "format_version": "2"}', "damaged (format_version is no version)"),
        (b'{"name": "a", "format_version": true}', "damaged (format_version is no version)"),
    ],
)
def test_damaged_documents_are_refused_by_name_with_the_remedy(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        Second.read(path, "make it again")
    assert str(refused.value).startswith(f"{path}: {what}")
    assert str(refused.value).endswith(": make it again")
    assert not isinstance(refused.value, NewerError)


def test_a_document_that_is_not_there_or_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        DocumentError, match=r"a\.json: cannot be read \(No such file or directory\): make it"
    ):
        Second.read(tmp_path / "a.json", "make it again")
    with pytest.raises(DocumentError, match=r"cannot be read \(is a folder\)"):
        Second.read(tmp_path, "make it again")

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from wsi_seg.errors import UsageError
from wsi_seg.files.shipped import read_yaml, shipped_folder
from wsi_seg.models.classes import ClassSchema
from wsi_seg.pipelines import Pipeline


@pytest.mark.parametrize(("content", "folder"), [(ClassSchema, "annotations"), (Pipeline, "pipelines")])
def test_all_that_is_shipped_can_be_read(content: type[BaseModel], folder: str) -> None:
    shipped = sorted(shipped_folder(folder).glob("*.yaml"))
    assert shipped
    for path in shipped:
        assert read_yaml(content, path.stem, folder, "thing") == read_yaml(
            content, str(path), folder, "thing"
        )


TWO_CLASSES = b"name: x\nclasses: [{id: 0, name: a, color: [0, 0, 0]}, {id: 1, name: b, color: [1, 0, 0]}]\n"
DOUBLED = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 18))]
).encode()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"name: three\nclasses: 3\n", "mine.yaml: classes: "),
        (b"3", "mine.yaml: input should be "),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"classes: " + b"[" * 2000, "nested too deeply for a class schema"),
        (
            DOUBLED,
            "holds more than 100,000 values, each alias counted as what it stands for: shorten it",
        ),
        (b"a: &a [*a]", "not YAML (an alias inside of what it stands for"),
        (b"name: " + b"n" * 100_000, "name: string should have at most 256 characters"),
        (TWO_CLASSES + b"n" * 1000 + b": 1", "n... (1,000 characters): extra inputs"),
        (b"a: 2001-99-99", "holds an invalid value (month must be in 1..12)"),
        (None, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, written: bytes | None, said: str) -> None:
    path = tmp_path / "mine.yaml"
    if written is not None:
        path.write_bytes(written)
    with pytest.raises(UsageError) as caught:
        read_yaml(ClassSchema, str(path), "annotations", "class schema")
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 1000
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_are_known_are_named() -> None:
    with pytest.raises(
        UsageError, match=r"no class schema named 'x': use one of .*breast-biopsy.* or a YAML file"
    ):
        read_yaml(ClassSchema, "x", "annotations", "class schema")
    with pytest.raises(UsageError, match=r"use one of .*breast-biopsy"):
        read_yaml(ClassSchema, "/dev/null", "annotations", "class schema")

"""What pyproject.toml asks for: all that is imported, explained in the docs, tried at its lowest version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
USERS = ("train", "onnx", "bench", "geo", "dicom", "view", "fonts")
"""The extras that are not for development alone."""

ASKED = [Requirement(r) for r in (*PROJECT["dependencies"], *(r for extra in USERS for r in EXTRAS[extra]))]
NAMES = {canonicalize_name(requirement.name) for requirement in ASKED}


def pins(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text().splitlines()
    names = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, _, version in names}


def test_all_that_is_imported_is_asked_for() -> None:
    imported = set()
    for path in (ROOT / "wsi_seg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    others = imported - sys.stdlib_module_names - {"wsi_seg"}
    assert {"onnx_ir", "skimage", "torch"} <= others
    distributions = dict(packages_distributions())
    distributions["pynvml"] = ["nvidia-ml-py"]  # of the extra `bench`, which tests do without
    distributions.setdefault("pyarrow", ["pyarrow"])  # of the extra `geo`, which not all have
    missing = [
        name
        for name in sorted(others)
        if not NAMES & {canonicalize_name(d) for d in distributions.get(name, ())}
    ]
    assert missing == []


def test_the_docs_explain_all_that_is_asked_for_and_nothing_else() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    explained = {canonicalize_name(name.strip()) for row in rows for name in row.split(",")}
    assert explained - {"package", "-"} == NAMES


def test_the_version_of_shapely_that_overruns_memory_is_excluded() -> None:
    (shapely,) = (requirement for requirement in ASKED if requirement.name == "shapely")
    assert "2.1.0" not in shapely.specifier
    assert "2.1.1" in shapely.specifier


@pytest.mark.parametrize("requirement", ASKED, ids=lambda requirement: requirement.name)
def test_the_lowest_version_is_the_one_that_is_tried(requirement: Requirement) -> None:
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    floor, name = Version(bound.version), canonicalize_name(requirement.name)
    tried = pins("constraints-lowest.txt")[name]
    if name == "torch":  # its CPU wheel is not to be had everywhere
        assert floor <= tried == pins("constraints.txt")[name]
        return
    assert not tried.is_prerelease
    assert tried.release[: len(floor.release)] == floor.release

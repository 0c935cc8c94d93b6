"""The version has one source, and what repeats it agrees."""

import re
import tomllib
from pathlib import Path

import yaml

import wsi_seg
from wsi_seg.installation import examine

ROOT = Path(__file__).parents[1]


def test_the_version_comes_from_the_package_alone() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in pyproject["project"]
    source = (ROOT / pyproject["tool"]["hatch"]["version"]["path"]).read_text()
    assert re.findall(r'^__version__ = "(.+)"$', source, re.M) == [wsi_seg.__version__]


def test_the_citation_and_the_doctor_say_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == wsi_seg.__version__
    assert examine()[0].says.startswith(f"{wsi_seg.__version__} on Python ")


def test_a_bug_report_asks_for_the_doctor_and_the_command() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    needed = {part["id"] for part in form["body"] if part.get("validations", {}).get("required")}
    assert {"command", "doctor"} <= needed

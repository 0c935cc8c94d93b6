"""The rooms of docs/design.md: which way imports go, what files are called, and where tests lie."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from pkgutil import resolve_name

import grimp
import pytest

from wsi_seg.data.dataset_kinds import KINDS
from wsi_seg.data.dataset_layout import Layout
from wsi_seg.evaluation.benchmarks import BENCHMARKS, Benchmark

ROOT = Path(__file__).parents[1]


def test_imports_go_as_the_contracts_say() -> None:
    # In a process of its own: import-linter sets logging up for itself, which disables all other loggers.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lattice_is_arithmetic_and_knows_nothing_but_errors() -> None:
    graph = grimp.build_graph("wsi_seg", cache_dir=None)
    assert graph.find_modules_directly_imported_by("wsi_seg.slides.lattice") <= {"wsi_seg.errors"}


def test_what_is_registered_by_name_is_there() -> None:
    for kind, place in KINDS.items():
        layout = resolve_name(place)
        assert isinstance(layout, Layout)
        assert layout.kind == kind
    for place in BENCHMARKS.values():
        assert isinstance(resolve_name(place), Benchmark)
    assert BENCHMARKS.keys() <= KINDS.keys()


def test_a_test_lies_in_the_room_that_it_tests() -> None:
    tests = ROOT / "tests"
    beside = {Path("docs"), Path("qupath")}
    rooms = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")} - beside
    assert not [str(room) for room in rooms if not (ROOT / "wsi_seg" / room).is_dir()]


OF_EVERY_ROOM = {"__init__.py", "conftest.py"}


@pytest.mark.parametrize("where", ["wsi_seg", "tests"])
def test_a_file_name_occurs_once(where: str) -> None:
    """So that who searches for a name finds the one file that it can be."""
    names = Counter(path.name for path in (ROOT / where).rglob("*.py") if path.name not in OF_EVERY_ROOM)
    assert len(names) > 100
    assert [name for name, times in names.items() if times > 1] == []

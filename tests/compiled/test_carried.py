"""A wheel's own libraries: the best that the processor runs, and nothing is compiled then."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsi_seg.compiled import build, carried, shipping
from wsi_seg.errors import KernelsError
from wsi_seg.inference.fast.library import SOURCE, kernels_to_be_compiled, load_kernels

V3, V4 = ("x86-64-v3", "x86-64-v4")
FLAGS = {V3: shipping.AVX2, V4: shipping.AVX512}


@pytest.fixture(scope="module")
def libraries(kernels: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel for this machine carries."""
    folder = tmp_path_factory.mktemp("libraries")
    shipping.ship(platform.machine(), "g++", folder)
    return folder


@pytest.fixture(autouse=True)
def installed(libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A wheel's libraries, no compiler, and nothing compiled before."""
    monkeypatch.setattr(shipping, "FOLDER", libraries)
    monkeypatch.setenv("WSI_SEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "COMPILERS", ())
    monkeypatch.delenv("CXX", raising=False)
    load_kernels.cache_clear()
    yield tmp_path / "cache"
    load_kernels.cache_clear()


def flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: frozenset[str]) -> None:
    """Have the processor say what it can do."""
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {' '.join(sorted(words))}\n")
    monkeypatch.setattr(carried, "CPUINFO", path)
    monkeypatch.setattr("wsi_seg.compiled.carried.platform.machine", lambda: "x86_64")


def test_without_a_compiler_the_wheels_kernels_run_and_nothing_is_kept(installed: Path) -> None:
    if next(carried._variants_here(), None) is None:
        pytest.skip("no wheel carries kernels for this processor")
    assert not kernels_to_be_compiled()
    assert load_kernels().wsi_seg_lanes() in (4, 8, 16)
    assert not installed.exists()


@pytest.mark.parametrize(("said", "variant"), [(V4, V4), (V3, V3)])
def test_the_best_that_the_processor_runs_is_taken(
    said: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags(monkeypatch, tmp_path, FLAGS[said])
    (one,) = [each for each in shipping.VARIANTS if each.name == variant]
    content = b"a library"
    place = tmp_path / "libraries"
    for each in shipping.VARIANTS:
        (place / each.name).mkdir(parents=True)
        name = shipping.name_of(shipping.stem_of(SOURCE, each), content)
        (place / each.name / name).write_bytes(content)
    monkeypatch.setattr(shipping, "FOLDER", place)
    found = carried.find_shipped(SOURCE)
    assert found is not None
    assert found.parent.name == one.name


def test_an_older_processor_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags(monkeypatch, tmp_path, shipping.AVX2 - {"fma"})
    assert carried.find_shipped(SOURCE) is None
    monkeypatch.setattr(carried, "CPUINFO", tmp_path / "none")
    assert carried.find_shipped(SOURCE) is None


def test_one_of_another_source_or_cut_short_is_not_loaded(
    libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = carried.find_shipped(SOURCE)
    if found is None:
        pytest.skip("no wheel carries kernels for this processor")
    other = tmp_path / SOURCE.name
    shutil.copytree(SOURCE, other)
    (other / "more.h").touch()
    assert carried.find_shipped(other) is None
    place = tmp_path / "libraries" / found.parent.name
    place.mkdir(parents=True)
    (place / found.name).write_bytes(found.read_bytes()[:-1])
    monkeypatch.setattr(shipping, "FOLDER", place.parent)
    assert carried.find_shipped(SOURCE) is None


def test_one_that_this_system_does_not_load_is_compiled_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that asks for a newer C library."""
    flags(monkeypatch, tmp_path, shipping.AVX2)
    (variant,) = [each for each in shipping.VARIANTS if each.name == V3]
    place, content = tmp_path / "libraries" / V3, b"no library"
    place.mkdir(parents=True)
    (place / shipping.name_of(shipping.stem_of(SOURCE, variant), content)).write_bytes(content)
    monkeypatch.setattr(shipping, "FOLDER", place.parent)
    assert carried.find_shipped(SOURCE) is not None
    assert carried.load_shipped(SOURCE) is None
    with pytest.raises(KernelsError, match=r"^no C\+\+ compiler"):
        load_kernels()


def test_a_compiler_that_the_user_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(KernelsError, match="'no-such-compiler', which CXX names"):
        load_kernels()


def test_openmp_is_found_where_pytorch_has_it() -> None:
    """Without importing PyTorch, which loads it by itself."""
    code = """
from pathlib import Path
from wsi_seg.compiled.carried import _load_openmp
maps = Path("/proc/self/maps")
before = "libgomp" in maps.read_text()
_load_openmp()
print(before, "libgomp" in maps.read_text())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]

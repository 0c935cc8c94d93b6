from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsi_seg.inference.fast import build
from wsi_seg.inference.fast.build import KernelsError, load_kernels, to_be_compiled


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let kernels be made anew, in a folder of the test's own."""
    monkeypatch.setenv("WSI_SEG_CACHE", str(tmp_path / "cache"))
    load_kernels.cache_clear()
    yield tmp_path / "cache"
    load_kernels.cache_clear()


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def copying(made: Path) -> str:
    """Do a compiler's work by copying."""
    return f'for last; do :; done; cp {made} "$last"'


@pytest.fixture(scope="module")
def made(kernels: None) -> Path:
    """The kernels as compiled in earnest, so that not every test does so."""
    load_kernels()
    (library,) = build.cache_folder().glob(f"{build._cached_path().stem}.so")
    return library


def test_kernels_are_compiled_once(elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = elsewhere.parent / "calls"
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", f"echo >> {calls}; {copying(made)}"))
    for _ in range(2):
        assert load_kernels().wsi_seg_lanes() in (4, 8, 16)
        load_kernels.cache_clear()
    assert calls.read_text() == "\n"
    assert len(list(elsewhere.iterdir())) == 1


def test_no_compiler_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KernelsError, match=r"^no C\+\+ compiler \(c\+\+, g\+\+, clang\+\+\): install one"):
        load_kernels()
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(KernelsError, match="'no-such-compiler', which CXX names"):
        load_kernels()


def test_what_a_compiler_has_against_them_is_passed_on(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "CXX", compiler(elsewhere.parent / "c++", "echo 'k.cpp:1: error: too modern' >&2; exit 1")
    )
    with pytest.raises(KernelsError, match="too modern"):
        load_kernels()
    assert list(elsewhere.iterdir()) == []


def test_a_compiler_without_openmp_will_do(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'case "$*" in *-fopenmp*) exit 1;; esac; {copying(made)}'
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", script))
    assert load_kernels().wsi_seg_lanes()


def test_a_compiler_that_hangs_is_given_up(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "COMPILE_SECONDS", 0.2)
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", "exec sleep 5"))
    with pytest.raises(KernelsError, match="took more than"):
        load_kernels()


def test_what_a_compiler_says_need_be_no_text(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", r"printf 'full \377 disk\n' >&2; exit 1"))
    with pytest.raises(KernelsError, match=r"failed \(full . disk\): mend it"):
        load_kernels()
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", "exit 1"))
    with pytest.raises(KernelsError, match=r"failed \(without a word\)"):
        load_kernels()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WSI_SEG_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(KernelsError, match=r"cache: .* cannot be kept there .*: .* WSI_SEG_CACHE"):
        load_kernels()


def test_a_cache_that_is_closed_to_the_user_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's folder of mode 0700 is; here, where the tests' user may be root, by pretence."""

    def closed(path: Path, *args: object, **kwargs: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", closed)
    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(KernelsError, match=r"cannot be kept there \(Permission denied\): .* WSI_SEG_CACHE"):
        load_kernels()
    assert not to_be_compiled()


def test_a_user_without_a_home_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WSI_SEG_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(KernelsError, match=r"no home folder .*: name a folder with WSI_SEG_CACHE"):
        load_kernels()
    assert not to_be_compiled()


@pytest.mark.parametrize("content", [b"", b"\x7fELF cut short"])
def test_a_damaged_library_is_made_again(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    elsewhere.mkdir()
    build._cached_path().write_bytes(content)
    assert load_kernels().wsi_seg_lanes()


def test_a_processor_that_does_not_fuse_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_loaded", lambda _: SimpleNamespace(wsi_seg_fuses=lambda: 0))
    with pytest.raises(KernelsError, match=r"does not multiply and add in one step \(FMA\)"):
        load_kernels()

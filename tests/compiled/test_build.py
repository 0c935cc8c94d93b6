from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsi_seg.compiled import build, kept
from wsi_seg.errors import KernelsError
from wsi_seg.inference.fast import library
from wsi_seg.inference.fast.library import SOURCE, kernels_to_be_compiled, load_kernels


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
    (library,) = build.cache_folder().glob(f"{build._stem(SOURCE)}-*.so")
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
    with pytest.raises(KernelsError, match=r"failed \(full . disk\): repair it"):
        load_kernels()
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", "exit 1"))
    with pytest.raises(KernelsError, match=r"failed \(without a word\)"):
        load_kernels()


def test_a_full_disk_is_said_and_not_the_compilers_fault(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"cache: its disk is full, .*: free some MB, or name another folder with WSI_SEG_CACHE"
    script = "echo 'ld: final link failed: No space left on device' >&2; echo 'collect2: error' >&2; exit 1"
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", script))
    with pytest.raises(KernelsError, match=remedy):
        load_kernels()

    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", "echo 'collect2: error' >&2; exit 1"))
    monkeypatch.setattr("wsi_seg.compiled.build.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(KernelsError, match=remedy):
        load_kernels()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    monkeypatch.setattr(kept, "_write", full)
    with pytest.raises(KernelsError, match=remedy):
        load_kernels()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "failed to map segment from shared object",
            "cache: programs cannot be run from there, .* WSI_SEG_CACHE",
        ),
        (
            "libgomp.so.1: cannot open shared object file: No such file or directory",
            r"cache: compiled kernels cannot be loaded \(.*libgomp.*\): repair the compiler, or name another",
        ),
    ],
)
def test_a_library_that_cannot_be_loaded_is_said_with_what_helps(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    def refuse(path: str) -> None:
        raise OSError(f"{path}: {said}")

    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    monkeypatch.setattr("wsi_seg.compiled.kept.ctypes.CDLL", refuse)
    with pytest.raises(KernelsError, match=told):
        load_kernels()


def test_a_compiler_may_be_named_with_options_and_with_blanks_in_its_path(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere.parent / "my tools").mkdir()
    path = compiler(elsewhere.parent / "my tools" / "c++", f'[ "$1" = -m64 ] || exit 1; {copying(made)}')
    monkeypatch.setenv("CXX", f"'{path}' -m64")
    assert load_kernels().wsi_seg_lanes()
    monkeypatch.setenv("CXX", path)
    assert build.find_compiler() == [path]
    monkeypatch.setenv("CXX", "no-such-compiler -m64 '")
    with pytest.raises(KernelsError, match=r"which CXX names: name another, or none \(`unset CXX`\)"):
        build.find_compiler()


def test_a_cache_may_be_named_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WSI_SEG_CACHE", "~/x")
    assert build.cache_folder() == tmp_path / "x"


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
    assert not kernels_to_be_compiled()


def test_a_user_without_a_home_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WSI_SEG_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(KernelsError, match=r"no home folder .*: name a folder with WSI_SEG_CACHE"):
        load_kernels()
    assert not kernels_to_be_compiled()


@pytest.mark.parametrize("left", [0, 1000, -1])
def test_a_library_cut_short_is_made_again_before_it_is_loaded(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Also where it could be loaded still: its last byte is of its section headers, which no loader reads."""
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    load_kernels()
    (library,) = elsewhere.iterdir()
    whole = library.read_bytes()
    library.unlink()  # it is loaded, and cut in place it would end this process
    library.write_bytes(whole[:left])
    load_kernels.cache_clear()
    assert kernels_to_be_compiled()
    assert load_kernels().wsi_seg_lanes()
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [whole]


def test_others_may_write_to_neither_the_folder_nor_the_library(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", f"umask 0; {copying(made)}"))
    monkeypatch.setenv("WSI_SEG_CACHE", str(elsewhere / "below"))
    load_kernels()
    assert (elsewhere / "below").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o022 for path in (elsewhere / "below").iterdir()] == [0]


@pytest.mark.parametrize("mode", [0o775, 0o702])
def test_an_own_folder_that_others_may_write_to_is_closed_and_filled_anew(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """As it was made under umask 002: nothing is loaded that came there while others could write."""
    calls = elsewhere.parent / "calls"
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", f"echo >> {calls}; {copying(made)}"))
    load_kernels()
    load_kernels.cache_clear()
    older = elsewhere / f"kernels-of-another-processor-{'0' * 64}.so"
    older.touch()
    elsewhere.chmod(mode)
    assert load_kernels().wsi_seg_lanes()
    assert calls.read_text() == "\n\n"
    assert elsewhere.stat().st_mode & 0o7777 == 0o700
    assert not older.exists()


@pytest.mark.parametrize(("mode", "beside"), [(0o1777, None), (0o775, "notes.txt")])
def test_a_folder_that_others_may_write_to_is_not_loaded_from(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch, mode: int, beside: str | None
) -> None:
    """Nor is it closed to them, if it is no folder for kernels alone, such as `/tmp`."""
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    load_kernels()
    load_kernels.cache_clear()
    if beside is not None:
        (elsewhere / beside).touch()
    elsewhere.chmod(mode)
    remedy = "name a folder for kernels alone, in which nobody else may write, with WSI_SEG_CACHE"
    with pytest.raises(KernelsError, match=rf"cache: others may write to it \(mode {mode:o}\), .*: {remedy}"):
        load_kernels()
    assert elsewhere.stat().st_mode & 0o7777 == mode
    assert not kernels_to_be_compiled()


def test_another_users_folder_is_not_loaded_from(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user by pretence: only root can give files away."""
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    load_kernels()
    load_kernels.cache_clear()
    monkeypatch.setattr(kept, "_trusted_owners", lambda: {os.geteuid() + 1})
    with pytest.raises(KernelsError, match=r"cache: belongs to another user \(\d+\), .* WSI_SEG_CACHE"):
        load_kernels()


def test_a_library_that_others_may_have_written_is_made_again(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = elsewhere.parent / "calls"
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", f"echo >> {calls}; {copying(made)}"))
    load_kernels()
    load_kernels.cache_clear()
    (library,) = elsewhere.iterdir()
    library.chmod(0o666)
    assert load_kernels().wsi_seg_lanes()
    assert calls.read_text() == "\n\n"
    assert library.stat().st_mode & 0o022 == 0


def test_a_library_that_another_user_made_is_not_kept(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    someone = os.geteuid() + 1
    monkeypatch.setattr(kept, "_trusted_owners", lambda: {someone - 1})
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    with pytest.raises(KernelsError, match=r"kernels.so: not made by this user, and not loaded"):
        load_kernels()
    assert list(elsewhere.iterdir()) == []


def test_a_cache_that_can_only_be_read_will_do(
    elsewhere: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root's, filled for all users: nothing is made or written where a whole library is."""
    monkeypatch.setenv("CXX", compiler(elsewhere.parent / "c++", copying(made)))
    load_kernels()
    load_kernels.cache_clear()
    monkeypatch.setattr(build, "make_folder", None)
    monkeypatch.setattr(kept, "_write", None)
    elsewhere.chmod(0o555)
    assert not kernels_to_be_compiled()
    assert load_kernels().wsi_seg_lanes()
    elsewhere.chmod(0o755)


def test_without_owners_of_files_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    with pytest.raises(KernelsError, match="does not tell who may write to a file"):
        load_kernels()


def test_a_processor_that_does_not_fuse_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "load_library", lambda *_: SimpleNamespace(wsi_seg_fuses=lambda: 0))
    with pytest.raises(KernelsError, match=r"does not multiply and add in one step \(FMA\)"):
        load_kernels()

"""What `wsi-seg doctor` finds here, and where parts are missing."""

from __future__ import annotations

import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from helpers.packages import broken_package

from wsi_seg import installation
from wsi_seg.installation import Finding, examine


def found(what: str) -> Finding:
    return next(finding for finding in examine() if finding.what == what)


def test_extras_are_there_or_lack_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    required = [
        "numpy>=2.0",
        "torch>=2; extra == 'train'",
        'no-such-a>=1 ; python_version >= "3" and extra == "some-day"',
        "no-such-b ; extra == 'some-day'",
        "no-such-c; extra == 'dev'",
    ]
    monkeypatch.setattr("wsi_seg.installation.metadata.requires", lambda _: required)
    remedy = "some-day lacks no-such-a, no-such-b: pip install 'wsi-seg[some-day]'"
    assert found("extras") == Finding("extras", True, "train", remedy)
    monkeypatch.setattr(installation, "PACKAGES", ("numpy", "no-such-d"))
    versions = f"numpy {metadata.version('numpy')}"
    assert found("packages") == Finding(
        "packages", False, versions, "missing: no-such-d: install wsi-seg again"
    )


def test_a_part_that_cannot_be_imported_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openslide", None)
    finding = found("openslide")
    assert (finding.good, finding.remedy) == (False, "install wsi-seg again")
    assert finding.says.startswith("cannot be imported (")


def test_a_broken_package_of_an_extra_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_package("wsidicom", "raise OSError('no such library')", tmp_path, monkeypatch)
    required = ["wsidicom>=0.3; extra == 'dicom'"]
    monkeypatch.setattr("wsi_seg.installation.metadata.requires", lambda _: required)
    broken = [finding for finding in examine() if not finding.good]
    assert broken == [
        Finding(
            "extras",
            False,
            "dicom: wsidicom cannot be imported (OSError: no such library)",
            "pip install --force-reinstall wsidicom",
        )
    ]


def test_a_part_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_package("openslide", "raise OSError('no such library')", tmp_path, monkeypatch)
    assert found("openslide") == Finding(
        "openslide", False, "does not work (OSError: no such library)", "install wsi-seg again"
    )


def test_folders_are_named_from_home_with_their_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WSI_SEG_CACHE", str(tmp_path / "deep" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert found("cache").says.startswith("~/deep/cache, ")
    assert found("cache").says.endswith("iB free")
    assert found("temporary").says.startswith("~, ")
    assert not any(str(tmp_path) in f.says + f.remedy for f in examine())


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert [(f.good, f.remedy) for f in installation._folders() if f.what == "temporary"] == [
        (False, "free some space, or name a folder with TMPDIR")
    ]


def test_limits_and_the_processor_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="no limits on this system")
    limits = {resource.RLIMIT_NOFILE: 1024, resource.RLIMIT_AS: 2**32, resource.RLIMIT_NPROC: -1}
    monkeypatch.setattr(resource, "getrlimit", lambda number: (limits[number], -1))
    assert found("limits").says == "open files 1024, processes unlimited, address space 4 GiB"
    lines = [("model name", "A processor"), ("flags", "fpu avx2 sse fma amx_tile")]
    monkeypatch.setattr(installation, "_processor", lambda: iter(lines))
    assert found("processor").says == "A processor: fma, avx2, amx_tile"
    monkeypatch.setattr(installation, "_processor", lambda: iter(()))
    assert found("processor").says.endswith("what it can do is not known")

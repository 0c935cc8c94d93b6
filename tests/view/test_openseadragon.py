"""OpenSeadragon comes from npm's registry, or a mirror of it, and only if it is the one that is pinned."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from urllib.error import URLError

import pytest

from wsi_seg.errors import UsageError
from wsi_seg.view import openseadragon
from wsi_seg.view.openseadragon import FetchError, fetch, registry, require_script


class Answer(io.BytesIO):
    """What a registry answers."""


def package() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in openseadragon.MEMBERS:
            content = name.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def digest(content: bytes) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha512(content).digest()).decode()


def test_script_and_licence_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, asked = package(), []
    monkeypatch.setattr(openseadragon, "SHA512", digest(content))
    monkeypatch.setenv("npm_config_registry", "https://mirror.example/npm/")

    def answer(address: str, timeout: float) -> Answer:
        asked.append(address)
        return Answer(content)

    monkeypatch.setattr(openseadragon, "urlopen", answer)
    for _ in range(2):
        fetch(tmp_path / "web")
    assert asked == ["https://mirror.example/npm/openseadragon/-/openseadragon-6.1.1.tgz"]
    assert sorted(path.name for path in (tmp_path / "web").iterdir()) == [
        "LICENSE.txt",
        "VERSION",
        "openseadragon.min.js",
    ]


def test_another_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "https://mirror.example")
    monkeypatch.setattr(openseadragon, "urlopen", lambda address, timeout: Answer(package()))
    with pytest.raises(FetchError, match=r"is not OpenSeadragon 6.1.1 \(another SHA-512\)"):
        fetch(tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_without_a_network_there_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str, timeout: float) -> Answer:
        raise URLError("no route")

    monkeypatch.setenv("npm_config_registry", "https://mirror.example")
    monkeypatch.setattr(openseadragon, "urlopen", fail)
    with pytest.raises(FetchError, match=r"https://mirror.example/.*: cannot be fetched"):
        fetch(tmp_path)
    monkeypatch.setattr(openseadragon, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match=r"fetch it with `python -m wsi_seg\.view\.openseadragon`"):
        require_script()


def test_what_names_no_registry_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    assert registry() == openseadragon.NPM

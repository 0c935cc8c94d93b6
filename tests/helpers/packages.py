"""Packages whose installation is broken."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def broken_package(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put in a package's place one that runs `code` when it is imported, also if it was imported before."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code + "\n")
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()

"""What a wheel carries is compiled while it is built, or an error says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wsi_seg.compiled import shipping
from wsi_seg.compiled.shipping import ShippingError, ship


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Nothing else is there while a wheel is built."""
    code = f"import runpy; runpy.run_path({shipping.__file__!r}, run_name='shipping')['ship']('z80')"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert "z80: libraries are compiled for x86_64 and aarch64" in done.stderr


def test_all_sources_are_there() -> None:
    package = Path(shipping.__file__).parents[1]
    written = set(package.rglob("*.cpp"))
    named = {path for source in shipping.SOURCES for path in shipping.files_of(source, "*.cpp")}
    assert named == written


def test_what_fails_is_said_and_nothing_old_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ShippingError, match=r"^no compiler no-such-g\+\+"):
        ship("x86_64", "no-such-g++", tmp_path)
    with pytest.raises(ShippingError, match=r"^false failed"):
        ship("x86_64", "false", tmp_path)
    assert not (tmp_path / "old").exists()
    shipping.remove(tmp_path)
    assert not tmp_path.exists()

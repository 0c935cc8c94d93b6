from __future__ import annotations

from pathlib import Path

import pytest

from wsi_seg.inference.stream.ledger import Ledger, LedgerEntry

ENTRY = LedgerEntry(
    name="0-1",
    pixels={0: 12, 255: 4},
    unreadable=((0, 0, 2, 2),),
    patches=1,
    seconds={"read": 0.5},
    files={"labels/tissue/0/c/0/1": "0123456789abcdef"},
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "regions")
    ledger.add(ENTRY)
    return ledger


def test_what_is_added_is_read_back_and_struck_off(ledger: Ledger) -> None:
    assert list(ledger.entries()) == [ENTRY]
    assert ledger.names() == {"0-1"}
    ledger.strike("0-1")
    assert not ledger.names()
    ledger.clear()
    assert not ledger.folder.exists()


def test_an_entry_of_which_any_byte_differs_is_none(ledger: Ledger) -> None:
    (path,) = ledger.folder.iterdir()
    sound = path.read_bytes()
    for i in range(len(sound)):
        path.write_bytes(sound[:i] + bytes([sound[i] ^ 1]) + sound[i + 1 :])
        found = list(ledger.entries())
        assert not found or found == [ENTRY]  # the last byte only ends the line
        assert ledger.names() == {"0-1"}
    for cut in (0, 10, len(sound) // 2):
        path.write_bytes(sound[:cut])
        assert not list(ledger.entries())


def test_an_entry_under_another_regions_name_is_none(ledger: Ledger) -> None:
    (path,) = ledger.folder.iterdir()
    path.rename(path.with_name(path.name.replace("0-1", "0-2")))
    assert not list(ledger.entries())
    assert ledger.names() == {"0-2"}

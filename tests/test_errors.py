from __future__ import annotations

import pytest

from wsi_seg.errors import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07a", "\\x1b[2J\\x07a"),
        ("a\r\nb\tc\x85d\x9b31m", "a\\x0d\\x0ab\\x09c\\x85d\\x9b31m"),
        ("gpj.\u202etiff\u2066", "gpj.\\u202etiff\\u2066"),
        ("\u2028\u2029\ud83d", "\\u2028\\u2029\\ud83d"),
        (b"caf\xe9.svs".decode(errors="surrogateescape"), "caf\\xe9.svs"),
        ("Größe 腫瘍 \U0001f52c \\x1b שלום", "Größe 腫瘍 \U0001f52c \\x1b שלום"),
    ],
)
def test_control_characters_are_shown_and_not_done(text: str, shown: str) -> None:
    assert printable(text) == shown

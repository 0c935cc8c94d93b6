from __future__ import annotations

import csv
import io

import pytest

from wsi_seg.files.csvlines import csv_line


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", " =1", "＝1", "-", "-a.svs", "＠a"])
def test_no_cell_begins_a_formula(text: str) -> None:
    (cells,) = csv.reader(io.StringIO(csv_line(["a", text]), newline=""))
    assert cells == ["a", f"'{text}"]


def test_control_characters_end_neither_cells_nor_lines() -> None:
    assert csv_line(["\t=1", "\r=1", "a\nb", "\x1b"]) == "\\x09=1,\\x0d=1,a\\x0ab,\\x1b\n"


def test_numbers_stay_numbers_and_texts_are_quoted() -> None:
    values = [-1, -0.5, "-0.250000", "+1e-3", None, "", "a=b", 'q"', "a,b"]
    assert csv_line(values) == '-1,-0.5,-0.250000,+1e-3,,,a=b,"q""","a,b"\n'

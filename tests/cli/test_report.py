"""`wsi-seg report`, and the report that a batch leaves."""

from __future__ import annotations

from pathlib import Path

from conftest import tissue_rgb, write_tiff
from helpers.batches import Page
from helpers.program import Program


def test_a_batch_leaves_a_report_and_report_makes_it_again(
    predict: Program, run: Program, tmp_path: Path
) -> None:
    slides, results = tmp_path / "slides", tmp_path / "results"
    slides.mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        write_tiff(slides / f"{name}.tiff", tissue_rgb(200, 300, seed))
    (slides / "c.tiff").write_bytes((slides / "a.tiff").read_bytes()[:3000])
    ended = predict(slides)
    assert ended.code == 1
    assert f"{results}/report.html: slide by slide, for a browser" in ended.out
    page, table = results / "report.html", results / "summary.csv"
    before, rows = Page(page.read_text()), table.read_text()
    assert "slides done 2 of 3 failed 1" in before.words
    assert len(before.pictures) == 4
    assert f"{slides}/c.tiff: " in before.words
    assert len(rows.splitlines()) == 1 + 2 * 3 + 1
    page.unlink()
    table.unlink()
    again = run("report", results)
    assert (again.code, again.out) == (0, f"{page}: 3 slides: 2 finished, 1 failed\n")
    assert table.read_text() == rows
    assert Page(page.read_text()).words.split("written")[0] == before.words.split("written")[0]
    assert run("check", results).code == 1
    assert run("report", results / "a").line.endswith(
        "is the result of one slide: name the folder that it lies in"
    )

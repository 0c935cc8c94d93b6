"""Write the report of a training as a folder: a page, the same as JSON, and the pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wsi_seg.files.files import remove, write_text, writing
from wsi_seg.results.pictures.overview_picture import save_png
from wsi_seg.training.report.contents import CONFUSION, CURVES, EXAMPLES, ONE_BY_ONE, SCORES

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.training.report.contents import TrainingReport

PAGE, TEXT, DATA = "report.html", "report.md", "report.json"


def write_report(folder: Path, report: TrainingReport) -> Path:
    """Write a report; an older one is replaced.

    Returns
    -------
    Path
        The page to open in a browser.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    # matplotlib takes a moment to load: a training should not start later for it.
    from wsi_seg.charts import save_chart
    from wsi_seg.training.report.examples import draw_examples, save_panels
    from wsi_seg.training.report.html import render_html
    from wsi_seg.training.report.markdown import render_markdown
    from wsi_seg.training.report.training_charts import draw_confusion, draw_curves, draw_scores
    from wsi_seg.training.report.training_page import compose

    save_chart(draw_curves(report.history), folder / CURVES)
    save_chart(draw_confusion(report.scores, report.names), folder / CONFUSION)
    save_chart(draw_scores(report.scores, report.names), folder / SCORES)
    with writing(folder / EXAMPLES):
        (folder / EXAMPLES).unlink(missing_ok=True)
        remove(folder / ONE_BY_ONE)
    if report.examples:
        save_png(draw_examples(report.examples, report.schema), folder / EXAMPLES)
        save_panels(report.examples, report.schema, folder)
    page = compose(report)
    write_text(folder / DATA, json.dumps(report.as_json(), indent=1, allow_nan=False) + "\n")
    write_text(folder / TEXT, render_markdown(page))
    with writing(folder / PAGE):
        text = render_html(page, folder)
    write_text(folder / PAGE, text)
    return folder / PAGE

"""Finished results with all that a report of many slides reads, without a run; and pages as they are read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from conftest import SCHEMA

from helpers.written_results import frames_of, write_labels
from wsi_seg.models.classes import ClassSchema
from wsi_seg.results.familiarity import Familiarity, Verdict
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.seals import document_path
from wsi_seg.results.summary import Status, Summary, summarise_classes

UNFAMILIAR = Familiarity(verdict=Verdict.UNFAMILIAR, line="unfamiliar: check the result by eye")


def write_result(
    folder: Path,
    slide: str,
    *,
    schema: ClassSchema = SCHEMA,
    model: str = "a-model",
    familiarity: Familiarity | None = None,
    unprocessed_mm2: float = 0.0,
) -> Summary:
    """Write the result of a slide of 96 x 64 label pixels: half of it glass, of the rest a third tumour."""
    labels = np.full((64, 96), schema.classes[0].id, np.uint8)
    labels[:, 48:80], labels[:, 80:] = schema.classes[1].id, schema.classes[2].id
    write_labels(folder, labels, schema)
    values, counts = np.unique(labels, return_counts=True)
    classes = summarise_classes(
        dict(zip(values.tolist(), counts.tolist(), strict=True)), schema, frames_of(labels)
    )
    summary = Summary(
        slide=slide,
        status=Status.PARTLY_UNREADABLE if unprocessed_mm2 else Status.FINISHED,
        model=model,
        model_fingerprint=f"digest of {model}",
        notice="not for diagnosis",
        slide_mpp=(1.0, 1.0),
        label_mpp=(2.0, 2.0),
        label_size=(96, 64),
        classes=classes,
        tissue_mm2=sum(c.mm2 for c in classes if c.share is not None),
        unprocessed_mm2=unprocessed_mm2,
        unreadable_tiles=3 if unprocessed_mm2 else 0,
        polygons=2,
        remarks={},
        familiarity=familiarity,
        patches=1,
        network="plain",
        seconds={"total": 65.0},
        versions={"wsi-seg": "0.1.0"},
        settings={},
        command="wsi-seg predict slides",
    )
    result = ResultFolder(folder)
    summary.write(result.summary_json, result.summary_csv)
    record = result.read_record()
    assert record is not None
    files = result.take_stock(document_path(result.zarr), result.summary_json, result.summary_csv)
    result.write_record(record.model_copy(update={"files": files}))
    return summary


class Page(HTMLParser):
    """What a page shows, and whether its tags are closed in order."""

    VOID = ("meta", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.pieces: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.pictures += [given["src"] or ""] if tag == "img" else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.anchors += [given["id"] or ""] if "id" in given else []
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        """The text, with its white space."""
        return "".join(self.pieces)

    @property
    def words(self) -> str:
        """The text, with a space where an element begins or ends."""
        return re.sub(r"\s+", " ", " ".join(self.pieces))


def with_names(*names: str) -> ClassSchema:
    """A schema with other names for its classes, the first of which is the background."""
    classes = tuple(
        tissue_class.model_copy(update={"name": name})
        for tissue_class, name in zip(SCHEMA.classes, names, strict=True)
    )
    return SCHEMA.model_copy(update={"classes": classes, "background": names[0]})

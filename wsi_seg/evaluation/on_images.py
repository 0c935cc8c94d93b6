"""Evaluate a model on a data set of images with masks."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.evaluation.benchmarks import own_scores
from wsi_seg.evaluation.evaluation import Evaluation, Tally, notices
from wsi_seg.evaluation.matching import match_classes
from wsi_seg.inference.network.diagnosis import Diagnoser
from wsi_seg.inference.plain_images import diagnose_image, label_image
from wsi_seg.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.data.dataset import Dataset
    from wsi_seg.data.masked_images import LabelledImage
    from wsi_seg.data.sources import LabelledPixels
    from wsi_seg.evaluation.benchmarks import Submission
    from wsi_seg.inference.network.segmenter import Segmenter
    from wsi_seg.models.bundle import ModelBundle


def evaluate_images(
    dataset: Dataset,
    bundle: ModelBundle,
    segmenter: Segmenter,
    progress: Progress | None = None,
    submission: Submission | None = None,
) -> Evaluation:
    """Segment the images of a data set at their full size, and compare.

    Parameters
    ----------
    dataset : Dataset
    bundle : ModelBundle
        The model that `segmenter` runs.
    segmenter : Segmenter
    progress : Progress, optional
    submission : Submission, optional
        Receives the prediction for each image.

    Raises
    ------
    UsageError
        If the model lacks a class of the data set, or if no mask holds a known class and no submission is
        asked for.
    WsiSegError
        If an image or mask can't be read, or the device runs out of memory.
    """
    progress = progress or Progress()
    table = match_classes(bundle.schema, dataset.schema, str(bundle.path))
    tallies = []
    diagnoses = _Diagnoses(bundle, torch.device(segmenter.device))
    scores = own_scores(dataset)
    pixels = [source.size[0] * source.size[1] for source in dataset.sources]
    progress.begin(f"{dataset.folder.name} {dataset.split}", len(pixels), 0, sum(pixels) / 1e6, "images")
    try:
        for source, picture in _decoded(dataset.sources):
            labels = label_image(picture.rgb, bundle, segmenter)
            diagnoses.add(source, picture.rgb)
            tally = Tally.empty(source.name, len(dataset.schema))
            tally.add(picture.classes, labels, table)
            tallies.append(tally)
            if scores is not None:
                scores.add(source, table[labels])
            if submission is not None:
                submission.add(source, table[labels])
            progress.advance(labels.size / 1e6)
    finally:
        progress.end()
    evaluation = Evaluation(
        subject=bundle.name,
        data=f"{dataset.folder}, {dataset.split}",
        schema=dataset.schema,
        tallies=tuple(tallies),
        remarks=(*notices(bundle), *diagnoses.remarks),
        details={"model_fingerprint": bundle.fingerprint, **diagnoses.details},
    )
    if scores is not None:
        evaluation = replace(evaluation, benchmark=scores.figures(evaluation.total.confusion))
    return evaluation if submission is not None else evaluation.checked()


def _decoded(sources: Sequence[LabelledImage]) -> Iterator[tuple[LabelledImage, LabelledPixels]]:
    """Read images, each while the previous one is segmented."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        started: deque[tuple[LabelledImage, Future[LabelledPixels]]] = deque()
        for source in sources:
            started.append((source, reader.submit(source.decode)))
            if len(started) > 1:
                ready, picture = started.popleft()
                yield ready, picture.result()
        for ready, picture in started:
            yield ready, picture.result()


class _Diagnoses:
    """The diagnoses of whole images, for models that make them."""

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        self._bundle, self._diagnoser = bundle, Diagnoser.of(bundle, device)
        self._images: list[JsonValue] = []
        self._right = self._known = 0

    def add(self, source: LabelledImage, rgb: NDArray[np.uint8]) -> None:
        diagnosis = diagnose_image(rgb, self._bundle, self._diagnoser)
        if diagnosis is None:
            return
        self._known += source.diagnosis is not None
        self._right += source.diagnosis == diagnosis.number
        probabilities: list[JsonValue] = [round(p, 4) for p in diagnosis.probabilities]
        self._images.append(
            {
                "name": source.name,
                "found": diagnosis.number,
                "true": source.diagnosis,
                "probabilities": probabilities,
            }
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        return (f"diagnosis right for {self._right} of {self._known} images",) if self._known else ()

    @property
    def details(self) -> dict[str, JsonValue]:
        if not self._images:
            return {}
        return {"diagnosis": {"right": self._right, "known": self._known, "images": self._images}}

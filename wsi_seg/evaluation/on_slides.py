"""Evaluate a model on annotated slides: segmented as `predict` does, but only in the annotated parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.areas import Comparison
from wsi_seg.evaluation.evaluation import Evaluation, Tally, notices
from wsi_seg.evaluation.matching import match_classes
from wsi_seg.evaluation.near_outlines import near_outlines
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.region import RegionSegmenter
from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.predict.plan import Plan
from wsi_seg.progress import Progress
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.slide_names import stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from wsi_seg.data.annotated_slides import LabelledSlide
    from wsi_seg.data.truth import SlideTruth
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.settings import PredictSettings
    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class AnnotatedExtent(Extent):
    """The annotated part of the extent that `predict` would process.

    Attributes
    ----------
    truth : SlideTruth
        Pixels of unknown class are left out.
    """

    truth: SlideTruth

    def at(self, rect: Rect) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return labels that are known before segmentation, and where to segment, as `Extent.at` does."""
        labels, analysed = super().at(rect)
        unknown = self.truth.read(rect) == IGNORE
        labels[unknown] = OUTSIDE_ID
        return labels, analysed & ~unknown


def evaluate_slides(
    slides: Sequence[LabelledSlide],
    schema: ClassSchema,
    bundle: ModelBundle,
    device: torch.device,
    settings: PredictSettings,
    progress: Progress | None = None,
) -> Evaluation:
    """Segment slides where they are annotated, and compare.

    Where something is annotated, the labels are those that `predict` gives with these settings: tissue mask,
    patches and halos included.

    Parameters
    ----------
    slides : sequence of LabelledSlide
        Opened at the working resolution of the settings, or else of the model.
    schema : ClassSchema
        The truth's classes.
    bundle : ModelBundle
        The model. Its network is copied to `device`, and stays unchanged.
    device : torch.device
    settings : PredictSettings
        Its part `labels` is used, without `roi` and `confidence`: the annotated area is used instead of
        regions of interest.
    progress : Progress, optional

    Raises
    ------
    WsiSegError
        If a slide, the model or the device fails, the model lacks a class of the truth, or nothing is
        annotated.
    """
    table = match_classes(bundle.schema, schema, str(bundle.path))
    segmenter = Segmenter(bundle, device, settings.labels.precision, settings.labels.compile)
    tallies = []
    for labelled in slides:
        with Slide(labelled.path, labelled.given_mpp, labelled.levels_read, labelled.series) as slide:
            plan = Plan.make(slide, bundle, str(device), settings)
            tallies.append(_evaluate(labelled, plan, segmenter, schema, table, progress or Progress()))
    remarks = [remark for slide in slides for remark in slide.remarks]
    return Evaluation(
        subject=bundle.name,
        data=", ".join(
            slide.path.name if slide.name == stem_of(slide.path) else slide.name for slide in slides
        ),
        schema=schema,
        tallies=tuple(tallies),
        remarks=(*notices(bundle), *_seen(bundle, slides), *remarks),
        details={
            "model_fingerprint": bundle.fingerprint,
            "read_from": {slide.name: str(slide.level) for slide in slides},
        },
    ).checked(remarks)


def _seen(bundle: ModelBundle, slides: Sequence[LabelledSlide]) -> Iterator[str]:
    """List the slides that the model was trained on, whatever their path.

    A model file holds only their fingerprints. Slides that differ in a single tile may have the same one, so
    a slide may be listed in error, but none is missed.
    """
    for slide in slides:
        if slide.fingerprint in bundle.trained_on:
            yield f"{slide.path}: the model was trained on parts of this slide, which flatters the scores"


def _evaluate(
    labelled: LabelledSlide,
    plan: Plan,
    segmenter: Segmenter,
    schema: ClassSchema,
    table: NDArray[np.uint8],
    progress: Progress,
) -> Tally:
    tissue = None
    if plan.settings.labels.tissue_mask:
        tissue = plan.find_tissue()
    segment = RegionSegmenter(
        slide=plan.slide,
        frames=plan.frames,
        extent=AnnotatedExtent(tissue, None, plan.bundle.schema.outside_id, labelled.truth),
        segmenter=segmenter,
        batch_size=plan.batch_size,
        confidence=False,
    )
    regions = {region.label_rect: region for region in plan.lattice.regions()}
    comparison = Comparison(
        name=labelled.name,
        truth=labelled.truth,
        classes=len(schema),
        read=lambda rect: segment(regions[rect]).labels,
        near=near_outlines(labelled.truth, labelled.frames.label_mpp),
        table=table,
    )
    tally = comparison.score(regions, progress)
    labelled.files.refuse_changed()
    return tally

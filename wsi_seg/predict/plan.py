"""The plan of a run: every size is decided, nothing is done yet."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import openslide

from wsi_seg import __version__
from wsi_seg.errors import SlideError
from wsi_seg.files.digests import digest_of
from wsi_seg.inference.network.choice import choose_form
from wsi_seg.inference.network.devices import kind_of
from wsi_seg.models.registry import ONNX
from wsi_seg.predict.adapted import ADAPT
from wsi_seg.predict.sizes import lay_out
from wsi_seg.predict.working_resolution import working_mpp
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.slides.colour import to_srgb
from wsi_seg.slides.levels import EXCHANGED, LevelRead
from wsi_seg.slides.monochrome import only_channel
from wsi_seg.slides.readers.dicom_series import find_beyond_openslide

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.annotations.on_slide import Regions
    from wsi_seg.inference.network.choice import Choice
    from wsi_seg.inference.stream.software import Software
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.described import DescribedModel
    from wsi_seg.predict.adapted import Adaptation
    from wsi_seg.results.record import Key
    from wsi_seg.settings import PredictSettings
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.lattice import Lattice
    from wsi_seg.slides.overview import Overview
    from wsi_seg.slides.restain import Restaining
    from wsi_seg.slides.slide import Slide, SlidePixels
    from wsi_seg.slides.tissue import TissueMask

LABELS_VERSION = 7
"""Increased whenever the same slide, model and settings would give other labels than before."""


@dataclass(frozen=True)
class Plan:
    """A slide, a model, and how the one is to be laid over the other.

    `regions` are those of interest; `adaptation` is what brings slide and network nearer to each other. What
    only a run needs is imported when it is asked for: to know that a result is finished takes neither PyTorch
    nor a network.
    """

    slide: Slide
    frames: Frames
    lattice: Lattice
    layout: PyramidLayout
    bundle: DescribedModel
    level: LevelRead
    batch_size: int
    device: str
    choice: Choice
    settings: PredictSettings
    command: str = ""
    regions: Regions | None = None
    adaptation: Adaptation | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        slide: Slide,
        bundle: DescribedModel,
        device: str,
        settings: PredictSettings,
        command: str = "",
        choice: Choice | None = None,
    ) -> Plan:
        """Decide the sizes for a slide.

        Parameters
        ----------
        slide : Slide
        bundle : DescribedModel
            With its network, for whatever computes.
        device : str
        settings : PredictSettings
        command : str
            The command that the summary states.
        choice : Choice, optional
            The form that the network runs in; None chooses it.

        Raises
        ------
        MppError
            If the slide's resolution is unknown, or too coarse.
        ModelError
            If the model is not one for slides.
        UsageError
            If sizes do not fit together, or the network can't be compiled although that is requested.
        AnnotationError
            If the regions of interest cannot be read, or lie outside of the slide.
        """
        labels = settings.labels
        frames = slide.frames(working_mpp(bundle, labels), labels.allow_coarser)
        regions = None
        if labels.roi is not None:
            from wsi_seg.annotations.on_slide import read_regions

            regions = read_regions(labels.roi, slide.name, frames)
        if choice is None:
            choice = choose_form(bundle.architecture.config, device, labels.precision, labels.compile)
        lattice, batch_size = lay_out(frames.label_size, labels, bundle, device, choice.form)
        return cls(
            slide=slide,
            frames=frames,
            lattice=lattice,
            layout=PyramidLayout(
                frames, bundle.schema, lattice.region, frames.overview_level, labels.ngff, labels.confidence
            ),
            bundle=bundle,
            level=LevelRead.of(slide, frames),
            batch_size=batch_size,
            device=device,
            choice=choice,
            settings=settings,
            command=command,
            regions=regions,
        )

    def adapted(self, adaptation: Adaptation) -> Plan:
        """Return the plan with an adaptation, and what is known of the slide already."""
        plan = replace(self, adaptation=adaptation)
        plan.__dict__["slide_overview"] = self.slide_overview  # which is read once
        return plan

    @property
    def restain(self) -> Restaining | None:
        """What is done to the slide's pixels before the network sees them."""
        return None if self.adaptation is None else self.adaptation.restain

    @property
    def by_kernels(self) -> bool:
        """Whether compiled kernels run the network, on a CPU: then PyTorch need not be imported."""
        return self.choice.form != "plain" and kind_of(self.device) == "cpu"

    @property
    def model(self) -> ModelBundle:
        """The model, with its network."""
        return with_network(self.bundle)

    @property
    def _reads_rounded_levels(self) -> bool:
        """Whether a level is read that earlier versions had from OpenSlide, shifted by part of a pixel."""
        vendor = self.slide.properties.get(openslide.PROPERTY_NAME_VENDOR)
        if self.slide.shifts or (vendor == "dicom" and find_beyond_openslide(self.slide.path) is not None):
            return False
        full = self.slide.levels[0]
        read = [self.slide.levels[index] for index in self.slide.levels_read]
        rounded = any(full.width % level.width or full.height % level.height for level in read)
        return rounded and vendor in EXCHANGED

    @cached_property
    def labels_key(self) -> Key:
        """The values that the labels depend on, by names that users know."""
        labels = self.settings.labels
        adapted: Key = {} if self.adaptation is None else {ADAPT: self.adaptation.stated}
        around = self.lattice.around_tissue
        looked: Key = {} if around is None else {"pixels around tissue": around}
        stored: Key = {"rounded levels": "as stored"} if self._reads_rounded_levels else {}
        return (
            adapted
            | looked
            | stored
            | {
                "slide": self.slide.fingerprint,
                "slide content": self.slide.files.content,
                "model": self.bundle.fingerprint[:16],
                "mpp": list(self.slide.mpp),
                "label mpp": list(self.frames.label_mpp),
                "levels read": list(self.slide.levels_read),
                "patch": self.lattice.patch,
                "overlap": 2 * self.lattice.halo,
                "region cores": self.lattice.region_cores,
                "batch size": self.batch_size,
                "device": self.device.partition(":")[0],
                "precision": labels.precision,
                "network": self.choice.form,
                "tissue mask": labels.tissue_mask,
                "roi": None if self.regions is None else self.regions.sha256[:16],
                "confidence": labels.confidence,
                "ngff": labels.ngff,
                "version": LABELS_VERSION,
            }
        )

    @cached_property
    def export_key(self) -> Key:
        """The values that the polygons depend on, beside the labels."""
        return self.settings.export.model_dump(mode="json")

    @cached_property
    def software(self) -> Software:
        """What computes the labels here."""
        from wsi_seg.inference.stream.software import Software

        onnx, dicom = self.bundle.architecture.name == ONNX, self.slide.format == "dicom"
        return Software.here(onnx=onnx, dicom=dicom)

    @cached_property
    def made_from(self) -> str:
        """A digest of all that the labels depend on, software included."""
        return digest_of(json.dumps([self.labels_key, self.software.recorded()], sort_keys=True).encode())

    @property
    def attributes(self) -> dict[str, object]:
        """The provenance in the label pyramid; nothing in it differs from one run to the next."""
        return {
            "wsi_seg_version": __version__,
            "slide": self.slide.name,
            "model": self.bundle.name,
            "model_fingerprint": self.bundle.fingerprint,
            "notice": self.bundle.notice,
            "patch": self.lattice.patch,
            "halo": self.lattice.halo,
            "labels": self.labels_key,
        }

    @cached_property
    def slide_overview(self) -> Overview:
        """One look at the whole slide."""
        from wsi_seg.slides.overview import Overview

        return Overview(self.slide, self.frames)

    @property
    def factor(self) -> int:
        """Label pixels per overview pixel along each side."""
        return self.slide_overview.factor

    @property
    def overview(self) -> SlidePixels:
        """The slide at the overview's resolution."""
        return self.slide_overview.pixels

    @cached_property
    def overview_srgb(self) -> NDArray[np.uint8]:
        """The overview as a screen shows it, with the slide's colour profile applied."""
        return to_srgb(self.overview.rgb, self.slide.icc_profile)

    def refuse_colourless(self) -> None:
        """Refuse a slide without a picture, or, unless the settings allow it, one without colour.

        Networks recognise tissue by its stain.

        Raises
        ------
        SlideError
            If the slide is transparent, black or grey throughout, or has only one channel.
        """
        if not self.overview.present.any() and not self.overview.unreadable:
            raise SlideError(
                f"{self.slide.path}: is transparent throughout, or all of its tiles are missing: copy it "
                "again, or export it without its alpha channel"
            )
        if self.settings.labels.allow_grey:
            return
        channel = only_channel(self.overview)
        if channel is not None:
            throughout = channel in {"black", "grey"}
            what = f"{channel} throughout" if throughout else f"only in its {channel} channel"
            raise SlideError(
                f"{self.slide.path}: is {what}: a network that learned from stained tissue gives arbitrary "
                "classes "
                "for it (use --allow-grey for a network that learned from such slides)"
            )

    def find_tissue(self) -> TissueMask:
        """Find the tissue in the overview."""
        return self.slide_overview.tissue

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall time of the block to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


def with_network(model: DescribedModel) -> ModelBundle:
    """Return a model that has its network."""
    from wsi_seg.models.bundle import ModelBundle

    assert isinstance(model, ModelBundle)  # as all have but those of plans that are only compared
    return model

"""Make the job that workers receive: a plan, pinned to the files that it was made for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from wsi_seg.files.files import replacing, write_text
from wsi_seg.inference.stream.job import RegionJob
from wsi_seg.inference.stream.pinned import Pinned

if TYPE_CHECKING:
    from wsi_seg.inference.stream.ledger import Ledger
    from wsi_seg.predict.plan import Plan
    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.pyramid import PyramidWriter
    from wsi_seg.results.record import RunRecord


def hand_out(
    result: ResultFolder, plan: Plan, record: RunRecord, writer: PyramidWriter, ledger: Ledger
) -> RegionJob:
    """Describe the work on a slide to workers, and mark the output folder as this run's.

    A worker that still runs for an earlier run finds another mark there, and stops writing.

    Raises
    ------
    OutputError
        If the mark or another file for the workers cannot be written.
    """
    mark = uuid.uuid4().hex
    write_text(result.mark, mark)
    labels = plan.settings.labels
    roi = None
    if plan.regions is not None:
        roi = Pinned.of(result.roi, result.roi.read_bytes())
    statistics = None
    if plan.adaptation is not None and plan.adaptation.statistics is not None:
        statistics = Pinned.of(result.statistics, plan.adaptation.statistics)
        with replacing(result.statistics) as partial:
            partial.write_bytes(plan.adaptation.statistics)
    return RegionJob(
        software=plan.software,
        slide_path=plan.slide.path.absolute(),  # as a link, if it is one: other files lie beside it
        slide_fingerprint=plan.slide.fingerprint,
        slide_content=plan.slide.files.content,
        mpp=labels.mpp,
        series=plan.slide.series,
        levels_read=plan.slide.levels_read,
        frames=plan.frames,
        lattice=plan.lattice,
        model_path=plan.bundle.path.resolve(),
        model_fingerprint=plan.bundle.fingerprint,
        device=plan.settings.run.device if plan.settings.run.device != "auto" else plan.device,
        precision=labels.precision,
        form=plan.choice.form,
        batch_size=plan.batch_size,
        mark=Pinned.of(result.mark, mark.encode()),
        tissue_path=result.tissue_mask if labels.tissue_mask else None,
        restain=plan.restain,
        statistics=statistics,
        tissue_seal=record.tissue,
        roi=roi,
        writer=writer,
        ledger=ledger,
        made_from=plan.made_from,
    )

"""The street data sets as `wsi_seg.evaluation.benchmarks` registers them."""

from __future__ import annotations

from wsi_seg.evaluation.benchmarks import Benchmark
from wsi_seg.paper.streets.cityscapes_scores import StreetScores
from wsi_seg.paper.streets.submission import CityscapesSubmission, VocSubmission

CITYSCAPES = Benchmark(CityscapesSubmission, StreetScores.of)
VOC = Benchmark(VocSubmission)

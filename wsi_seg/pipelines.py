"""Pipelines: named sets of settings, one YAML file a job, for predicting and for training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from wsi_seg.files.shipped import read_yaml
from wsi_seg.settings import PredictSettings
from wsi_seg.training.recipe import Recipe


class Pipeline(BaseModel):
    """One job: what it is, and its settings.

    Attributes
    ----------
    description : str
    predict : PredictSettings
    train : Recipe or None
        None for a pipeline that trains nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    predict: PredictSettings = PredictSettings()
    train: Recipe | None = None


def load_pipeline(name_or_path: str) -> Pipeline:
    """Read a pipeline, one of the shipped ones by name or a YAML file.

    Raises
    ------
    UsageError
        If there is none such, or it holds something it should not.
    """
    return read_yaml(Pipeline, name_or_path, "pipelines", "pipeline")

"""Pipelines: named sets of settings for prediction and training, one YAML file each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from wsi_seg.files.shipped import read_yaml
from wsi_seg.settings import PredictSettings
from wsi_seg.training.recipe import Recipe


class Pipeline(BaseModel):
    """A pipeline: its description and its settings.

    Attributes
    ----------
    description : str
    predict : PredictSettings or None
        None for a pipeline that only trains.
    train : Recipe or None
        None for a pipeline that only predicts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    predict: PredictSettings | None = None
    train: Recipe | None = None


def load_pipeline(name_or_path: str) -> Pipeline:
    """Read a pipeline: a shipped one by its name, or a YAML file.

    Raises
    ------
    UsageError
        If there is no such pipeline, or it is not valid.
    """
    return read_yaml(Pipeline, name_or_path, "pipelines", "pipeline")

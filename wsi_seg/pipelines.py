"""Pipelines: named sets of settings, one YAML file a job, for predicting and for training."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from wsi_seg.config import PredictSettings, explain
from wsi_seg.errors import UsageError
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
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = pipelines_folder() / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in pipelines_folder().glob("*.yaml")))
            raise UsageError(f"no pipeline named {name_or_path!r}: use one of {known}, or a YAML file")
    try:
        return Pipeline.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a pipeline's path") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}: see pipelines/ for examples") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())})") from error


def pipelines_folder() -> Path:
    """Return the folder of shipped pipelines: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "pipelines"
    return inside if inside.is_dir() else package.parent / "pipelines"

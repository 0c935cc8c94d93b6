"""YAML files: those that come with the package by their names, others by their paths."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wsi_seg.errors import UsageError, explain
from wsi_seg.files.reading import read_plain_text

Content = TypeVar("Content", bound=BaseModel)


def read_yaml(content: type[Content], name_or_path: str, folder: str, what: str) -> Content:
    """Read a YAML file, and check that it holds what it should.

    Parameters
    ----------
    content : type of BaseModel
        What it should hold.
    name_or_path : str
        Name of a shipped file, or path of any.
    folder : str
        Where shipped ones lie, as `shipped_folder` takes it.
    what : str
        What errors call such a file.

    Raises
    ------
    UsageError
        If there is none such, or it holds something else.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = shipped_folder(folder) / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
            raise UsageError(f"no {what} named {name_or_path!r}: use one of {known}, or a YAML file")
    try:
        return content.model_validate(yaml.safe_load(read_plain_text(path)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a {what}'s path") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}: see {folder}/ for examples") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())}): mend it") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply for a {what}: see {folder}/ for examples") from error
    except ValueError as error:  # a date or a number that is none
        raise UsageError(f"{path}: holds what cannot be read ({error}): mend it") from error


def shipped_folder(name: str) -> Path:
    """Return a folder of shipped files: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name

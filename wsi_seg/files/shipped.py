"""YAML files: those in the package by their names, others by their paths."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wsi_seg.errors import UsageError, explain
from wsi_seg.files.plain_files import read_plain_text
from wsi_seg.files.yamltext import TooMuchYamlError, parse_yaml

Content = TypeVar("Content", bound=BaseModel)


def read_yaml(content: type[Content], name_or_path: str, folder: str, what: str) -> Content:
    """Read a YAML file and validate its content.

    Parameters
    ----------
    content : type of BaseModel
        The model of its content.
    name_or_path : str
        Name of a shipped file, or path of any.
    folder : str
        Folder of the shipped files, as `shipped_folder` takes it.
    what : str
        What such a file is called in errors.

    Raises
    ------
    UsageError
        If there is no such file, or it is not valid.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = shipped_folder(folder) / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(shipped_names(folder))
            raise UsageError(f"no {what} named {name_or_path!r}: use one of {known}, or a YAML file")
    try:
        return content.model_validate(parse_yaml(read_plain_text(path)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a {what}'s path") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}: see {folder}/ for examples") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())}): correct it") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply for a {what}: see {folder}/ for examples") from error
    except TooMuchYamlError as error:
        raise UsageError(f"{path}: holds {error}: shorten it") from error
    except ValueError as error:  # an invalid date or number
        raise UsageError(f"{path}: holds an invalid value ({error}): correct it") from error


def shipped_names(folder: str) -> list[str]:
    """Return the names of the shipped YAML files of a folder."""
    return sorted(path.stem for path in shipped_folder(folder).glob("*.yaml"))


def shipped_folder(name: str) -> Path:
    """Return a folder of shipped files, in the installed package or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name

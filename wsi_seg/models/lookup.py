"""The model file that a name or a path means."""

from __future__ import annotations

from pathlib import Path

from wsi_seg.errors import ModelError
from wsi_seg.files.plain_files import check_plain

WEIGHTS_FOLDER = Path(__file__).resolve().parent / "weights"

MODEL_FILE = "model.safetensors"
"""What a training calls its model."""


def builtin_models() -> dict[str, Path]:
    """Return the model files that come with the package, by name."""
    return {path.stem: path for path in sorted(WEIGHTS_FOLDER.glob("*.safetensors"))}


def resolve_model(name_or_path: str) -> Path:
    """Find a model: a built-in one by its name, or a file.

    Raises
    ------
    ModelError
        If there is neither.
    """
    builtin = builtin_models()
    if name_or_path in builtin:
        return builtin[name_or_path]
    path = Path(name_or_path)
    try:
        check_plain(path)
    except OSError as error:
        problem = "no such model" if isinstance(error, FileNotFoundError) else error.strerror
    else:
        return path
    trained = path / MODEL_FILE
    if trained.is_file():
        raise ModelError(f"{name_or_path}: is the folder of a training: give its model, {trained}")
    known = ", ".join(builtin) or "none installed"
    raise ModelError(
        f"{name_or_path}: {problem}: give the path of a .safetensors file, or a built-in model ({known})"
    )

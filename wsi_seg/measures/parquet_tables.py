"""Tables of measures as Parquet, by pyarrow: numbers as numbers, and what they were made from beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wsi_seg.files.files import replacing
from wsi_seg.packages import required

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import ModuleType

    from wsi_seg.measures.measure_table import Row

SUFFIX = ".parquet"
INTEGERS = frozenset({"region", "class_id", "other_id", "components"})
TEXTS = frozenset(
    {"result", "slide", "regions", "region_name", "region_class", "region_id", "class", "other"}
    | {"distance_to", "model", "model_fingerprint", "wsi_seg"}
)
METADATA = b"wsi_seg"
"""The key, in the file's metadata, of a JSON document that states how the measures were made."""


def require_pyarrow(path: Path) -> ModuleType:
    """Return pyarrow.

    Raises
    ------
    UsageError
        Naming the file that needs it, and the extra that installs it.
    """
    return required(str(path), "geo", "pyarrow", "pyarrow.parquet")


def write_parquet(path: Path, header: Sequence[str], rows: Iterable[Row], stated: object) -> None:
    """Write a table, completely or not at all.

    Parameters
    ----------
    path : Path
    header : sequence of str
        The columns.
    rows : iterable of Row
    stated : object
        JSON for the file's metadata.

    Raises
    ------
    UsageError
        If pyarrow is not installed, or broken.
    OutputError
        If the file cannot be written.
    """
    arrow = require_pyarrow(path)
    types = [
        arrow.int64() if name in INTEGERS else arrow.string() if name in TEXTS else arrow.float64()
        for name in header
    ]
    metadata = {METADATA: json.dumps(stated).encode()}
    schema = arrow.schema(list(zip(header, types, strict=True)), metadata=metadata)
    table = arrow.Table.from_pylist(list(rows), schema=schema)
    with replacing(path) as partial:
        arrow.parquet.write_table(table, str(partial))

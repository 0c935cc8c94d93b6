"""Several processes that train one model: only the first one writes files and reports."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_SECONDS = 5.0


def only_helps() -> bool:
    """Return whether this is a helper process: Lightning gives each its number in LOCAL_RANK."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


@contextmanager
def helping() -> Iterator[None]:
    """End with the process that started this one, and leave time for it to report an error for both."""
    from wsi_seg.children import end_with  # imported only by commands that start processes

    end_with(os.getppid())
    try:
        yield
    except (Exception, KeyboardInterrupt):
        time.sleep(GRACE_SECONDS)
        raise

"""Several processes that train one model: the first does all the writing and the talking."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_SECONDS = 5.0


def only_helps() -> bool:
    """Return whether this is a helper process: Lightning starts these with their number in here."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


@contextmanager
def helping() -> Iterator[None]:
    """End with the process that started this one, and leave it to that to say what went wrong for both."""
    from wsi_seg.children import end_with  # what it needs is imported by no command that starts nothing

    end_with(os.getppid())
    try:
        yield
    except (Exception, KeyboardInterrupt):
        time.sleep(GRACE_SECONDS)
        raise

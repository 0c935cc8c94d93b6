"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from helpers.trainings import Pair, write_outlined

from wsi_seg import charts


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks are slower with more threads, most of all on a machine that is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _small_charts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are written whole, but drawn small where no test looks at them."""
    if request.path.parent.name != "report":
        monkeypatch.setattr(charts, "DPI", 20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return write_outlined(tmp_path_factory.mktemp("outlined"))

"""While a wheel is built, editable or not: fetch OpenSeadragon, which `wsi-seg view` draws its page with.

Without a network the wheel is built all the same; then `wsi-seg view` says what is missing, and what to do.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCRIPT = Path(__file__).parent / "wsi_seg" / "view" / "openseadragon.py"


class Hook(BuildHookInterface[Any]):
    """Fetches it before the files of a wheel are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch it, unless it is there."""
        fetching = runpy.run_path(str(SCRIPT))
        try:
            fetching["fetch"]()
        except fetching["FetchError"] as error:
            self.app.display_warning(f"{error}: `wsi-seg view` will need it")

"""While a wheel is built, editable or not: fetch OpenSeadragon, which `wsi-seg view` draws its page with.

Without a network the wheel is built all the same; then `wsi-seg view` says what is missing, and what to do.

With `WSI_SEG_KERNELS=x86_64` or `aarch64` a wheel carries the kernels, compiled for the processors of that
machine (`make wheels`). Any other wheel is for all machines, and compiles them where it is installed.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "wsi_seg"
SCRIPT = PACKAGE / "view" / "openseadragon.py"
SHIPPING = PACKAGE / "compiled" / "shipping.py"
PLATFORM = "manylinux_2_34"
"""Systems with the libstdc++ of GCC 11, which the polygons' kernels need. Others take the wheel for all."""


class Hook(BuildHookInterface[Any]):
    """Fetches and compiles before the files of a wheel are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch OpenSeadragon, unless it is there; compile the kernels if that is asked for."""
        self._fetch()
        if version != "editable":
            self._compile(build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave no libraries in the sources: a checkout compiles its own."""
        if version != "editable":
            runpy.run_path(str(SHIPPING), run_name="shipping")["remove"]()

    def _compile(self, build_data: dict[str, Any]) -> None:
        shipping = runpy.run_path(str(SHIPPING), run_name="shipping")
        machine = os.environ.get("WSI_SEG_KERNELS")
        if machine is None:
            shipping["remove"]()
            return
        shipping["ship"](machine)
        build_data["tag"] = f"py3-none-{PLATFORM}_{machine}"
        build_data["pure_python"] = False

    def _fetch(self) -> None:
        fetching = runpy.run_path(str(SCRIPT))
        try:
            fetching["fetch"]()
        except fetching["FetchError"] as error:
            self.app.display_warning(f"{error}: `wsi-seg view` will need it")

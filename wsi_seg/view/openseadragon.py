"""OpenSeadragon, the deep zoom of the page: fetched from npm's registry and checked; never in the repository.

``python wsi_seg/view/openseadragon.py`` puts it beside the page. It needs nothing but Python, so that `make`
and the build of a wheel can run it before anything is installed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

VERSION = "6.1.1"
SHA512 = "g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw=="
"""Of the package's archive, as npm states it."""

NPM = "https://registry.npmjs.org"
STYLE = "sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE="
"""Of the one style that the script adds to a page: without outlines around what is touched."""

FOLDER = Path(__file__).parent / "web" / "openseadragon"
SCRIPT = "openseadragon.min.js"
MEMBERS = {f"package/build/openseadragon/{SCRIPT}": SCRIPT, "package/LICENSE.txt": "LICENSE.txt"}
"""What is taken from the archive, and what it is called here."""

SECONDS = 60
MOST_BYTES = 16 << 20


class FetchError(Exception):
    """Why it could not be fetched."""


def script_file() -> Path | None:
    """Return the script of this version; None if it is not there."""
    path = FOLDER / SCRIPT
    return path if path.is_file() and _stated(FOLDER) == VERSION else None


def require_script() -> None:
    """Refuse to go on without the script.

    Raises
    ------
    UsageError
        With the command that fetches it.
    """
    from wsi_seg.errors import UsageError  # `make` runs this file before anything is installed

    if script_file() is None:
        raise UsageError(
            f"{FOLDER}: OpenSeadragon {VERSION}, which draws the page, is not there: fetch it with "
            "`python -m wsi_seg.view.openseadragon`"
        )


def fetch(folder: Path = FOLDER) -> None:
    """Download the package, check it, and unpack script and licence, unless they are there.

    Raises
    ------
    FetchError
        If it cannot be had, or is not what it should be.
    """
    if _stated(folder) == VERSION and (folder / SCRIPT).is_file():
        return
    address = f"{registry()}/openseadragon/-/openseadragon-{VERSION}.tgz"
    try:
        with urlopen(address, timeout=SECONDS) as answer:
            archive = answer.read(MOST_BYTES)
    except (URLError, OSError, ValueError) as error:
        raise FetchError(f"{address}: cannot be fetched ({error})") from error
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise FetchError(f"{address}: is not OpenSeadragon {VERSION} (another SHA-512)")
    try:
        _unpack(archive, folder)
    except OSError as error:
        raise FetchError(f"{folder}: cannot be written ({error.strerror})") from error


def registry() -> str:
    """Return the address of npm's registry, as npm is set up here; npm itself need not be there."""
    names = "npm_config_registry", "NPM_CONFIG_REGISTRY"  # npm itself sets the first
    named = next(filter(None, map(os.environ.get, names)), "")
    npm = shutil.which("npm")
    if not named and npm:
        command = [npm, "config", "get", "registry"]
        named = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    address = named if named.startswith(("https://", "http://")) else NPM
    return address.rstrip("/")


def _unpack(archive: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        for member, name in MEMBERS.items():
            content = packed.extractfile(member)
            assert content is not None  # the digest is the right one
            partial = folder / f".{name}.partial"
            partial.write_bytes(content.read())
            partial.replace(folder / name)
    (folder / "VERSION").write_text(VERSION, encoding="utf-8")  # last: the others are whole


def _stated(folder: Path) -> str | None:
    try:
        return (folder / "VERSION").read_text(encoding="utf-8")
    except OSError:
        return None


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(f"{error}: check the network, or set npm_config_registry to a mirror")

"""A headless Chromium, driven over a pipe by its DevTools protocol: pages as users see them."""

from __future__ import annotations

import base64
import io
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for descriptor, end in zip((3, 4), ends):
    os.dup2(end, descriptor)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A browser with a pipe reads from descriptor 3 and writes to 4."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120


def find_chromium() -> str | None:
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class PageError(Exception):
    """What the browser did not do."""


class Browser:
    """One tab. `messages` are the lines on its console, errors and refusals of its policy among them."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.messages: list[str] = []

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Start it, with a profile of its own."""
        program = find_chromium()
        assert program is not None
        their_in, to_browser = os.pipe()
        from_browser, their_out = os.pipe()
        with tempfile.TemporaryDirectory(prefix="chromium") as profile:
            options = (
                "--headless=new --remote-debugging-pipe --no-sandbox --disable-gpu --no-first-run "
                "--disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb --disable-extensions "
                "--disable-background-networking --disable-component-update --mute-audio"
            )
            ends = [str(their_in), str(their_out)]
            command = [program, *options.split(), f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(
                [sys.executable, "-c", START, *ends, *command],
                pass_fds=(their_in, their_out),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            os.close(their_in)
            os.close(their_out)
            try:
                browser = cls(to_browser, from_browser)
                browser._attach()
                yield browser
            finally:
                os.close(to_browser)
                os.close(from_browser)
                process.terminate()
                process.wait(20)
                time.sleep(0.2)  # its children leave the profile

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """Call a method of the protocol, and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + SECONDS
        while True:
            answer = self._next(ends)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def resize(self, width: int, height: int, dark: bool = False, touch: bool = False) -> None:
        """Give the page a size, light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Open a page and wait until it has loaded."""
        self.ask("Page.navigate", url="about:blank")  # also where only the part after # differs
        self.messages.clear()  # of the page before, whose server may have ended
        self.ask("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """Return what an expression is in the page."""
        given = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.ask("Runtime.evaluate", expression=script, **given)
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            raise PageError(thrown.get("exception", {}).get("description", thrown["text"]))
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 120) -> None:
        """Wait until an expression is true in the page."""
        ends = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            if time.monotonic() > ends:
                raise PageError(f"never true: {script}; console: {self.messages}")
            time.sleep(0.05)

    def picture(self) -> NDArray[np.uint8]:
        """What is on the screen, shape (height, width, 3)."""
        packed = self.ask("Page.captureScreenshot", format="png")["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB"))

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """Press a key, and let it go."""
        text = {"text": key} if len(key) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def tap(self, x: float, y: float) -> None:
        """Tap with a finger."""
        self.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def _attach(self) -> None:
        tabs = self.ask("Target.getTargets")["targetInfos"]
        tab = next(t["targetId"] for t in tabs if t["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def _next(self, ends: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, ends - time.monotonic()))
            if not ready:
                raise PageError("the browser does not answer")
            read = os.read(self._from, 1 << 20)
            if not read:
                raise PageError("the browser has ended")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        self._note(answer)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.messages.append(f"{given['entry']['level']}: {given['entry']['text']}")
        elif event.get("method") == "Runtime.consoleAPICalled":
            said = " ".join(str(a.get("value", a.get("description"))) for a in given["args"])
            self.messages.append(f"{given['type']}: {said}")
        elif event.get("method") == "Runtime.exceptionThrown":
            thrown = given["exceptionDetails"]
            self.messages.append(f"error: {thrown.get('exception', {}).get('description', thrown['text'])}")

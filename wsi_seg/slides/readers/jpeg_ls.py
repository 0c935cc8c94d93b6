"""Decode JPEG-LS in a process of its own, which the system ends where a frame takes too long.

CharLS, which decodes JPEG-LS everywhere in Python, may take minutes for a damaged frame, and nothing can
interrupt it. The process limits itself by a timer of processor time, whose signal ends it: so it does not
outlive this one either.
"""

from __future__ import annotations

import atexit
import os
import signal
import struct
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 3.0
"""Of processor time for a frame; one of 2048 x 2048 px takes a quarter of a second."""

LENGTH = struct.Struct("<I")
SHAPE = struct.Struct("<III")
"""Rows, columns and samples of a decoded frame; zeros for one that is damaged."""


class JpegLsDecoder:
    """Decodes frames in a process that is started for the first one. May be used from several threads.

    Parameters
    ----------
    seconds : float
        Processor time that a frame may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, frame: bytes) -> NDArray[np.uint8]:
        """Decode a frame of 8 bits, shape (height, width, samples).

        Raises
        ------
        ValueError
            If it is damaged, or takes too long.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both are pipes
            try:
                process.stdin.write(LENGTH.pack(len(frame)) + frame)
                process.stdin.flush()
                shape = SHAPE.unpack(_exactly(process.stdout, SHAPE.size))
                samples = _exactly(process.stdout, int(np.prod(shape)))
            except (OSError, EOFError) as error:
                self.close()
                raise ValueError(f"not decoded within {self._seconds:g} s of processor time") from error
        if not samples:
            raise ValueError("a damaged JPEG-LS frame")
        return np.frombuffer(samples, dtype=np.uint8).reshape(shape)

    def close(self) -> None:
        """End the process; the next frame starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def forget(self) -> None:
        """Begin anew in a forked process, which must not talk to its parent's."""
        self._process, self._lock = None, threading.Lock()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                # By its file: it needs nothing else of the package, wherever this process found that.
                [sys.executable, "-P", __file__, str(self._seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what matters is raised here
                start_new_session=True,  # Ctrl-C is for this process, and the pipe's end ends that one
            )
        return self._process


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def serve(source: IO[bytes], sink: IO[bytes], seconds: float) -> None:
    """Decode frames until there are no more; a frame that takes longer ends the process."""
    import imagecodecs

    limited = hasattr(signal, "setitimer")
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        frame = source.read(*LENGTH.unpack(head))
        if limited:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        try:
            pixels = np.atleast_3d(imagecodecs.jpegls_decode(frame))
        except (ValueError, RuntimeError, MemoryError):  # imagecodecs' own error is a RuntimeError
            pixels = np.zeros((0, 0, 0), dtype=np.uint8)
        if limited:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if pixels.dtype != np.uint8:
            pixels = np.zeros((0, 0, 0), dtype=np.uint8)
        sink.write(SHAPE.pack(*pixels.shape) + pixels.tobytes())
        sink.flush()


DECODER = JpegLsDecoder()
"""The one that all slides of a process share."""

atexit.register(DECODER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DECODER.forget)

if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))

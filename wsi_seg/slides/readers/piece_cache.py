"""Decoded tiles and strips, kept in one cache for all slides that a process has open."""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Piece = TypeVar("Piece")

CACHE_BYTES = 64 << 20

ENTRY_BYTES = 256
"""What an entry takes beside its piece: a slide may have millions of absent tiles."""


class PieceCache:
    """The pieces used last, of all readers together. May be used from several threads.

    Parameters
    ----------
    limit : int
        Bytes. The piece that was used last stays, however large it is.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._pieces: OrderedDict[tuple[int, Hashable], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._owners = itertools.count()

    def new_owner(self) -> int:
        """Return a number that no reader of this process had before."""
        return next(self._owners)

    def get(self, owner: int, place: Hashable, decode: Callable[[], Piece]) -> Piece:
        """Return a piece; decode it if it is not here. What fails is not kept.

        Parameters
        ----------
        owner : int
            What `new_owner` gave the reader.
        place : hashable
            Which piece.
        decode : callable
            Returns an array, or a tuple with arrays in it.
        """
        key = (owner, place)
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
                kept: Piece = self._pieces[key]
                return kept
        piece = decode()
        with self._lock:
            if key not in self._pieces:
                self._pieces[key] = piece
                self._bytes += _size(piece)
            while self._bytes > self._limit and len(self._pieces) > 1:
                self._bytes -= _size(self._pieces.popitem(last=False)[1])
        return piece

    def __len__(self) -> int:
        with self._lock:
            return len(self._pieces)

    def unlock(self) -> None:
        """Begin with a lock of its own in a forked process, whose parent may have held it."""
        self._lock = threading.Lock()

    def forget(self, owner: int) -> None:
        """Drop the pieces of an owner."""
        with self._lock:
            for key in [key for key in self._pieces if key[0] == owner]:
                self._bytes -= _size(self._pieces.pop(key))


def _size(piece: object) -> int:
    parts = piece if isinstance(piece, tuple) else (piece,)
    return ENTRY_BYTES + sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


PIECES = PieceCache(CACHE_BYTES)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PIECES.unlock)

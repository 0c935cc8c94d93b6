"""A network as a list of steps, and the order in which their rows are computed.

Rows stream through the network: a few rows of the image, then all rows of each step that can follow from
them, and so on. A map needs memory only for the rows that later steps still read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ctypes import Structure

    from wsi_seg.inference.fast.maps import Maps, Sheet

Kind = Literal["normalise", "convolve", "double", "decide", "split", "multiply"]


class Layer(Protocol):
    """What a step computes by: a `Kernel`."""

    reach: int

    @property
    def struct(self) -> Structure:
        """Return it as the kernels take it."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """A layer between maps.

    Attributes
    ----------
    kind : str
    layer : Layer
    source : Maps or None
        None for the image's pixels.
    out, then : Maps or None
        Where results are written; to `then` one step further. A network's last step has neither: it decides.
    plus : Maps or None
        What is first added to the sums.
    """

    kind: Kind
    layer: Layer
    source: Maps | None
    out: Maps | None = None
    then: Maps | None = None
    plus: Maps | None = None

    @property
    def stride(self) -> int:
        """Image pixels per pixel of the result along each side."""
        written = self.out or self.then
        return 1 if written is None else written.stride

    @property
    def writes(self) -> tuple[Maps, ...]:
        """The maps that are written."""
        return tuple(maps for maps in (self.out, self.then) if maps is not None)

    @property
    def reads(self) -> tuple[tuple[Maps, int], ...]:
        """The maps that are read, and how many rows and columns around a pixel."""
        found = [] if self.source is None else [(self.source, self.layer.reach)]
        return tuple(found if self.plus is None else [*found, (self.plus, 0)])

    def lowest(self, row: int, maps: Maps, reach: int) -> int:
        """Return the first row of some maps that is read for a row of the result, and all after it."""
        return max(0, row * self.stride // maps.stride - reach)

    def possible(self, done: int, height: int, maps: Maps, reach: int) -> int:
        """Return how many rows can be computed from `done` rows of some maps, of an image of that height."""
        if done >= height // maps.stride:
            return height // self.stride
        if self.kind in ("double", "decide"):
            return 2 * done
        return max(0, (done - 1 - reach) // (self.stride // maps.stride) + 1)


@dataclass(frozen=True)
class Rows:
    """Rows ``y0`` up to ``y1`` of the result of a step, which is given by its number."""

    step: int
    y0: int
    y1: int


@dataclass(frozen=True)
class Program:
    """Steps in the order in which a network has them."""

    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Add a step at the end."""
        self.steps.append(step)

    def sheets(self) -> Iterator[Sheet]:
        """Yield each sheet that is written, once."""
        seen = set()
        for step in self.steps:
            for maps in step.writes:
                if maps.sheet not in seen:
                    seen.add(maps.sheet)
                    yield maps.sheet

    def streamed(self, height: int, strip: int) -> tuple[list[Rows], dict[Sheet, int]]:
        """Order the rows of all steps, for an image of a height.

        Parameters
        ----------
        height : int
            A multiple of 8.
        strip : int
            Rows of the image that are taken at a time.

        Returns
        -------
        order : list of Rows
        held : dict
            For each sheet, how many rows must be held in memory.
        """
        order: list[Rows] = []
        progress = [0] * len(self.steps)
        held = dict.fromkeys(self.sheets(), 1)
        earlier = [self._writers(i) for i in range(len(self.steps))]
        taken = 0
        while progress[-1] < height // self.steps[-1].stride:
            taken = min(height, taken + strip)
            for i, step in enumerate(self.steps):
                possible = (
                    step.possible(min(progress[j] for j in writers), height, maps, reach)
                    for (maps, reach), writers in zip(step.reads, earlier[i], strict=True)
                )
                # No more at a time, as when the image has ended and all the rest could follow at once.
                most = min(progress[i] + strip // step.stride, height // step.stride)
                rows = min(possible, default=taken)
                rows = min(rows, most)
                if rows > progress[i]:
                    for maps in step.writes:
                        needed = rows - self._lowest_needed(maps.sheet, progress, height)
                        held[maps.sheet] = max(held[maps.sheet], needed)
                    order.append(Rows(i, progress[i], rows))
                    progress[i] = rows
        return order, held

    def _writers(self, number: int) -> list[list[int]]:
        """Return, for each map that a step reads, the earlier steps that write it."""
        return [
            [j for j, step in enumerate(self.steps[:number]) if any(w.meets(maps) for w in step.writes)]
            for maps, _ in self.steps[number].reads
        ]

    def _lowest_needed(self, sheet: Sheet, progress: list[int], height: int) -> int:
        """Return the first row of a sheet that is still needed; of one that no step reads, the very first."""
        readers = [
            (step, done, maps, reach)
            for step, done in zip(self.steps, progress, strict=True)
            for maps, reach in step.reads
            if maps.sheet is sheet
        ]
        found = [
            step.lowest(done, maps, reach)
            for step, done, maps, reach in readers
            if done < height // step.stride
        ]
        return min(found, default=height // sheet.stride if readers else 0)

"""The maps of a network as its steps name them; `flow.py` gives them memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Sheet:
    """Maps that lie side by side in memory, of any image.

    Attributes
    ----------
    channels : int
    stride : int
        Image pixels per pixel along each side: 1, 2, 4 or 8.
    reach : int
        Pixels that convolutions see to either side, at most.
    seen_throughout : bool
        Whether it is known everywhere, as the image is. All other sheets are zero where the network does not
        look: see `Windows`.
    by_pixel : bool
        Whether all channels of a pixel lie together; by default those of a row do, channel by channel.
    """

    channels: int
    stride: int
    reach: int
    seen_throughout: bool = False
    by_pixel: bool = False


@dataclass(frozen=True)
class Maps:
    """Some of the channels of a sheet: `channels` from `first` on."""

    sheet: Sheet
    first: int
    channels: int

    @classmethod
    def new(cls, channels: int, stride: int, reach: int, seen_throughout: bool = False) -> Maps:
        """Make a sheet, and return all of its channels."""
        return cls(Sheet(channels, stride, reach, seen_throughout), 0, channels)

    @property
    def stride(self) -> int:
        """Image pixels per pixel along each side."""
        return self.sheet.stride

    def part(self, first: int, channels: int) -> Maps:
        """Return some of the channels."""
        return Maps(self.sheet, self.first + first, channels)

    def meets(self, other: Maps) -> bool:
        """Return whether any channel is in both."""
        return (
            self.sheet is other.sheet
            and self.first < other.first + other.channels
            and other.first < self.first + self.channels
        )

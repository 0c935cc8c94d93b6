"""Progress reports of a run or a training; silent without a listener."""

from __future__ import annotations


class Progress:
    """Listener for the run of one slide. This one ignores everything."""

    def say(self, text: str) -> None:
        """Receive one line about the run."""

    def begin(self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions") -> None:
        """Note that a slide's regions begin; an earlier run has finished `done` of them.

        `megapixels` counts the label pixels of the remaining ones; `unit` names them, if they are not
        regions.
        """

    def advance(self, megapixels: float) -> None:
        """Note that a region of so many label megapixels is finished."""

    def end(self) -> None:
        """Note that all regions are finished, or that the slide has failed."""


class TrainingProgress:
    """Listener for a training. This one ignores everything."""

    def say(self, text: str) -> None:
        """Receive one line about the training."""

    def begin(self, stage: int, stages: int, validated: str = "") -> None:
        """Note that a stage begins, of so many, and its validation data, such as "8 of 40 tiles kept out"."""

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        """Receive how much of the stage is done, from 0 to 1, after so many seconds.

        `loss` is the recent training loss, `miou` the mean IoU of the last validation.
        """

    def end(self) -> None:
        """Note that the stage has ended or failed."""

    def score(self, done: int, count: int, unit: str) -> None:
        """Receive how many of the tiles or images that were kept out are scored, from 0 to `count`."""

"""How a run or a training tells of itself while it is under way; silent unless someone listens."""

from __future__ import annotations


class Progress:
    """Listens to the run of one slide. This one ignores all it hears."""

    def say(self, text: str) -> None:
        """Hear one line about the run."""

    def begin(self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions") -> None:
        """Hear that a slide's regions begin; `done` of them were finished by an earlier run.

        `megapixels` counts the label pixels of those still to do; `unit` names what they are, if no regions.
        """

    def advance(self, megapixels: float) -> None:
        """Hear that a region of so many label megapixels is finished."""

    def end(self) -> None:
        """Hear that all regions are finished, or the slide was given up."""


class TrainingProgress:
    """Listens to a training. This one ignores all it hears."""

    def say(self, text: str) -> None:
        """Hear one line about the training."""

    def begin(self, stage: int, stages: int, validated: str = "") -> None:
        """Hear that a stage begins, of so many; and what it is validated on, as "8 of 40 tiles kept out"."""

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        """Hear how much of the stage is done, from 0 to 1, after so many seconds.

        `loss` is the training loss of late, `miou` the last validation's mean IoU.
        """

    def end(self) -> None:
        """Hear that the stage is over, or was given up."""

    def score(self, done: int, count: int, unit: str) -> None:
        """Hear that so many tiles or images are scored, of all that were kept out: from 0 to `count`."""

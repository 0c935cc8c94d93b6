"""How a run tells of itself while it is under way; silent unless someone listens."""

from __future__ import annotations


class Progress:
    """Listens to the run of one slide. This one ignores all it hears."""

    def say(self, text: str) -> None:
        """Hear one line about the run."""

    def begin(self, slide: str, regions: int, done: int, megapixels: float) -> None:
        """Hear that a slide's regions begin; `done` of them were finished by an earlier run.

        `megapixels` counts the label pixels of those still to do.
        """

    def advance(self, megapixels: float) -> None:
        """Hear that a region of so many label megapixels is finished."""

    def end(self) -> None:
        """Hear that all regions are finished, or the slide was given up."""

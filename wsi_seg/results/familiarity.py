"""How familiar a slide is to the model that segmented it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """How familiar a slide's tissue is."""

    FAMILIAR = "familiar"
    PARTLY = "in part unfamiliar"
    UNFAMILIAR = "unfamiliar"
    UNKNOWN = "unknown"


class Familiarity(BaseModel):
    """A slide's tissue beside the tissue that the model was trained on.

    Attributes
    ----------
    verdict : Verdict
    line : str
        The verdict in words, and what to do.
    differs : tuple of str
        What differs: "stain", "sharpness", "resolution", "tissue", with how it does in brackets.
    distance : float or None
        How far the tissue is from the training tissue, in standard deviations between patches of that; None
        if the model remembers none.
    patches : int
        How many patches of the slide were looked at.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    verdict: Verdict
    line: str
    differs: tuple[str, ...] = ()
    distance: float | None = None
    patches: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether the tissue is unlike the training tissue, at least in part."""
        return self.verdict in {Verdict.PARTLY, Verdict.UNFAMILIAR}

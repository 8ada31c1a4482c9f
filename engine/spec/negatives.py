"""Which wrong rationales a method learns from: every method that has negatives has this section."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.spec.sections import Section


def _peer(value: Any) -> Any:
    """A run's id may be written as the number it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Source = Literal["minority", "self", "fixed", "perturbed", "peer"]


class Negatives(Section):
    """Which wrong rationales."""

    sources: tuple[Source, ...] = ("minority",)
    """minority: the teacher's outvoted ones; self: written by earlier selves of the student; fixed: written once by
    the student at the end of iteration `lag`; perturbed: positives with numbers or operators exchanged, steps dropped
    or reordered; peer: written by other runs' students."""
    shares: dict[Source, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Empty: an example has all its negatives at each visit; e.g. {minority = 0.5, self = 0.5}: those of one source,
    drawn by these shares among the sources that it has a negative of."""
    lag: Annotated[int, Field(ge=1)] = 5
    """Iterations between the snapshot that writes a self-adversarial negative and its use."""
    temperature: Annotated[float, Field(gt=0)] = 1.5
    """Sampling temperature of negatives that students write."""
    per_example: Annotated[int, Field(ge=1)] = 1
    """Negatives per example that a source writes: self each iteration, peer each peer, fixed and perturbed once."""
    tokens: Literal["all", "parted", "fork"] = "all"
    """Whose cross-entropy a negative's is: all of its tokens; parted: those from where it parts from the positive that
    it shares the longest beginning with; fork: that first one alone, of negatives that share a beginning at all."""
    peers: tuple[Annotated[str, BeforeValidator(_peer)], ...] = ()
    """Whose students write for peer: ids of runs in this database that are done, or folders of exported students."""
    band: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] | None = None
    """[lowest, highest] quality of negatives that are used, by a second judge, pre-trained apart, then left alone."""
    band_encoder: str = "student-sized"
    """That judge's encoder: as method.discriminator.encoder of qcrd, but not none."""

    @property
    def waits(self) -> bool:
        """Whether a source is written in training, `lag` iterations before its use."""
        return "self" in self.sources or "fixed" in self.sources

    @model_validator(mode="after")
    def _names_what_it_uses(self) -> "Negatives":
        if self.shares and set(self.shares) != set(self.sources):
            raise ValueError(
                f"shares of {' '.join(self.shares)} for sources {' '.join(self.sources)}: give each source a share"
            )
        if ("peer" in self.sources) != bool(self.peers):
            raise ValueError('the source "peer" and the list `peers` of runs or folders go together: give both or none')
        if self.band_encoder == "none":
            raise ValueError('band_encoder = "none": a band needs a judge; leave `band` out for no band')
        if self.band is not None and self.band[0] > self.band[1]:
            raise ValueError(f"band = {list(self.band)}: the lower quality comes first")
        return self

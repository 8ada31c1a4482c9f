"""[selection]: which of the voted rationales are kept, and who judges their steps."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from engine.spec.sections import Section
from engine.spec.teachers import KeyVariable, Server


def _not_recorded(model: str) -> str:
    if model.startswith("replay:"):
        raise ValueError("recorded outputs cannot judge: name a model")
    return model


class StepJudgeConfig(Section):
    """A model that is asked of every positive whether each of its steps is sound; paid for as the teacher is."""

    model: Annotated[str, AfterValidator(_not_recorded)] | None = None
    """Any LiteLLM model string; unset: no judge."""
    api_base: Server | None = None
    """URL of an OpenAI-compatible server."""
    api_key_env: KeyVariable | None = None
    """Name of the environment variable that holds the key; LiteLLM's own name for the provider where unset."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Longest verdict, in tokens: about 4 a step."""
    input_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million input tokens in US dollars; unset: from LiteLLM's list, where it has the model."""
    output_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million output tokens in US dollars; unset: as for input."""

    @model_validator(mode="after")
    def _both_prices(self) -> "StepJudgeConfig":
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("input_usd_per_million and output_usd_per_million: give both prices or none")
        return self


class SelectionConfig(Section):
    """Which of the vote's rationales are trained on; what a check drops is kept with its reason, counted and shown."""

    require_gold: bool = False
    """Leave a question out where it has a gold answer and the vote is another (labels = "gold" sorts by gold)."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Drop a positive that resembles an earlier one of its question so much: Jaccard index of pairs of neighbouring
    words, in (0, 1]; 0.8 finds texts of forty words with two exchanged. Unset: only equal texts count once."""
    min_words: Annotated[int, Field(ge=1)] | None = None
    """Drop shorter rationales, positive or negative; in words between white space, without the answer."""
    max_words: Annotated[int, Field(ge=1)] | None = None
    """Drop longer ones."""
    min_characters: Annotated[int, Field(ge=1)] | None = None
    """Drop shorter ones, in characters."""
    max_characters: Annotated[int, Field(ge=1)] | None = None
    """Drop longer ones, in characters."""
    judge: StepJudgeConfig = StepJudgeConfig()
    """A judge of steps."""

    @model_validator(mode="after")
    def _a_range(self) -> "SelectionConfig":
        for unit in ("words", "characters"):
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit} = {least} is above max_{unit} = {most}: every rationale would be dropped")
        return self

"""What a token costs: from the spec, else from the list that comes with LiteLLM. Unknown is unknown, never 0."""

from dataclasses import dataclass
from typing import Any

from engine.spec.teachers import TeacherConfig
from engine.teacher import client

FREE = ("builtin/", "replay:", "local/")
"""Teachers that are on this machine."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a token."""

    input: float
    output: float

    def cost(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Of so many tokens; None where the price depends on a number that nobody knows."""
        if (input_tokens is None and self.input) or (output_tokens is None and self.output):
            return None
        return self.input * (input_tokens or 0) + self.output * (output_tokens or 0)


def price_of(teacher: TeacherConfig) -> Price | None:
    """The teacher's price, in batches where teacher.batch; None where neither the spec nor LiteLLM's list has it.

    Asks nobody.
    """
    if teacher.input_usd_per_million is not None and teacher.output_usd_per_million is not None:
        millions = 2e6 if teacher.batch else 1e6
        return Price(teacher.input_usd_per_million / millions, teacher.output_usd_per_million / millions)
    if teacher.model.startswith(FREE):
        return Price(0.0, 0.0)
    if teacher.api_base and not teacher.model.startswith("azure"):
        return None  # somebody's own server: the list is of the providers
    listed = _listed(teacher.model)
    if listed is None:
        return None
    kind = "_batches" if teacher.batch else ""
    asked, written = listed.get(f"input_cost_per_token{kind}"), listed.get(f"output_cost_per_token{kind}")
    if asked is None or written is None:
        return None
    hidden = 0.0 if teacher.batch else float(listed.get("output_cost_per_reasoning_token") or 0.0)
    return Price(float(asked), max(float(written), hidden))


def _listed(name: str) -> dict[str, Any] | None:
    """LiteLLM's entry of a model, by the names that the list may have it under.

    Not litellm.get_model_info: it calls a missing price 0, and asks some servers over the network.
    """
    found = client.at_provider(name)
    if found is None:
        return None
    model, provider = found
    for key in (name, f"{provider}/{model}", model):
        entry: dict[str, Any] | None = client.load_litellm().model_cost.get(key)
        if entry is not None and (key != model or entry.get("litellm_provider", "").startswith(provider)):
            return entry
    return None

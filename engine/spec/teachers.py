"""[teacher]: who is asked, how, at what price, and where the key comes from."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from engine.spec.sections import Section


def _variable(name: str) -> str:
    if not re.fullmatch("[A-Z_][A-Z0-9_]*", name):  # not repeated: it may be the key
        raise ValueError("give the name of an environment variable, in capitals such as OPENAI_API_KEY, never the key")
    return name


def _entry(name: str) -> str:
    service, _, user = name.rpartition("/")
    if not (service.strip() and user.strip()):
        raise ValueError('give "service/user", the name of an entry in the keyring, never the key')
    return name


def _server(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("a URL with a user or password would be stored; give the key with api_key_env")
    if "?" in url or "#" in url:  # not repeated: it may hold the key
        raise ValueError("a URL with a query or fragment would be stored; give the key with api_key_env")
    if not re.match("https?://[^/]", url, re.IGNORECASE):
        raise ValueError("give the server's URL with http:// or https://, e.g. http://127.0.0.1:8000/v1")
    return url


KeyVariable = Annotated[str, AfterValidator(_variable)]
KeyringEntry = Annotated[str, AfterValidator(_entry)]
Server = Annotated[str, AfterValidator(_server)]


def both_or_none(input_price: float | None, output_price: float | None) -> None:
    if (input_price is None) != (output_price is None):
        raise ValueError("input_usd_per_million and output_usd_per_million: give both prices or none")


def _one_key(variable: str | None, entry: str | None) -> None:
    if variable and entry:
        raise ValueError("api_key_env and api_key_keyring: give one of them")


class OtherTeacher(Section):
    """One of several teachers: server, key, ceilings and prices are its own, all else is as in [teacher]."""

    model: str
    """As teacher.model; recorded outputs cannot be mixed."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the samples that it writes, in (0, 1]; what is left over is teacher.model's."""
    api_base: Server | None = None
    """URL of its server; unset: the provider's own."""
    api_key_env: KeyVariable | None = None
    """Name of the environment variable that holds its key; LiteLLM's own name for the provider where unset."""
    api_key_keyring: KeyringEntry | None = None
    """"service/user": its key's entry in the system's keyring, in place of an environment variable."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Requests in flight at once, at most; unset: as teacher.concurrency."""
    rpm: Annotated[int, Field(ge=1)] | None = None
    """Requests a minute, at most."""
    tpm: Annotated[int, Field(ge=1)] | None = None
    """Tokens a minute, at most."""
    batch: bool | None = None
    """Whether through its provider's batch API; unset: as teacher.batch."""
    input_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million input tokens in US dollars; unset: from LiteLLM's list, where it has the model."""
    output_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million output tokens in US dollars; unset: as for input."""

    @model_validator(mode="after")
    def _both_prices(self) -> "OtherTeacher":
        _one_key(self.api_key_env, self.api_key_keyring)
        both_or_none(self.input_usd_per_million, self.output_usd_per_million)
        return self


class TeacherConfig(Section):
    """Who writes the rationales."""

    model: str = "builtin/arithmetic"
    """Any LiteLLM model string, builtin/arithmetic, builtin/arithmetic-careful (errs less), local/FOLDER (a
    transformers model, in this process), or replay:FILE (recorded outputs)."""
    samples: Annotated[int, Field(ge=1)] = 5
    """Rationales sampled for each training question (the paper's K)."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """Sampling temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the probability that tokens are drawn from; unset: the provider's own."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Longest completion, in tokens."""
    prompt: str = "default"
    """"default" (few-shot, by kind of answer, in the paper's layout), or a TOML file with system, shots and format."""
    prompt_style: Literal["auto", "chat", "completion"] = "auto"
    """chat: the prompt as turns; completion: as one text that the model goes on with, for models that were not tuned to
    chat; auto: completion for LiteLLM's text-completion-openai/… and its kin, else chat."""
    api_base: Server | None = None
    """URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1."""
    api_key_env: KeyVariable | None = None
    """Name of the environment variable that holds the key; LiteLLM's own name for the provider where unset."""
    api_key_keyring: KeyringEntry | None = None
    """"service/user": the key's entry in the system's keyring, in place of an environment variable."""
    concurrency: Annotated[int, Field(ge=1)] = 16
    """Requests in flight at once, at most: it begins with 8, goes up while answers come and down on 429 and 5xx."""
    rpm: Annotated[int, Field(ge=1)] | None = None
    """Requests a minute, at most; unset: no ceiling."""
    tpm: Annotated[int, Field(ge=1)] | None = None
    """Tokens a minute, at most, questions and answers; a request counts with max_tokens until it is billed."""
    give_up_after: Annotated[float, Field(ge=0)] = 3600.0
    """Seconds that a teacher may be down before the run ends; until then it is asked now and then."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds to wait for one answer."""
    attempts: Annotated[int, Field(ge=1)] = 5
    """Tries per request before it counts as failed; each is a row. Being turned away (429) and tries while a teacher is
    down do not count."""
    reasoning: Literal["apart", "use"] = "apart"
    """Hidden reasoning of a model that thinks before it answers. apart: stored beside the answer, which alone is the
    rationale. use: the hidden reasoning is the rationale, with the answer's answer."""
    batch: bool = False
    """Through the provider's batch API: half price, answers within 24 h. A run that stops meanwhile, or whose machine
    does, finds them when it is resumed."""
    in_doubt: Literal["again", "stop"] = "again"
    """Requests that were under way when a worker was killed, and may be on the bill: again: bought once more, their
    greatest possible cost counted as spent; stop: end, and leave the choice to you."""
    input_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million input tokens in US dollars; unset: from LiteLLM's list, where it has the model. In a batch
    half of it is counted."""
    output_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    """Price of a million output tokens in US dollars; unset: as for input."""
    budget_usd: Annotated[float, Field(ge=0)] | None = None
    """The run stops before its purchases exceed so many US dollars; raise it with `qcrd resume RUN --set`. Unset: no
    limit. So the next two."""
    budget_tokens: Annotated[int, Field(ge=0)] | None = None
    """Input and output tokens of all requests together."""
    budget_calls: Annotated[int, Field(ge=0)] | None = None
    """Requests over the wire, retries included."""
    others: tuple[OtherTeacher, ...] = ()
    """More teachers of the same questions, e.g. [{model = "openai/gpt-4o-mini", share = 0.4}]: which samples are
    whose is told by question and number, so that it stays when there are more samples."""

    @property
    def name(self) -> str:
        """All its models, for lists of runs."""
        return " + ".join(one.model for one in self.everyone)

    @property
    def everyone(self) -> "tuple[TeacherConfig, ...]":
        """This teacher and the others, each as if it were alone."""
        alone = self.model_copy(update={"others": ()})
        own = set(OtherTeacher.model_fields) - {"share", "concurrency", "batch"}
        return alone, *(
            alone.model_copy(
                update={name: getattr(other, name) for name in own}
                | {"concurrency": other.concurrency or self.concurrency}
                | {"batch": self.batch if other.batch is None else other.batch}
            )
            for other in self.others
        )

    @model_validator(mode="after")
    def _both_prices(self) -> "TeacherConfig":
        _one_key(self.api_key_env, self.api_key_keyring)
        both_or_none(self.input_usd_per_million, self.output_usd_per_million)
        return self

    @model_validator(mode="after")
    def _shares(self) -> "TeacherConfig":
        if not self.others:
            return self
        if sum(other.share for other in self.others) > 1 + 1e-9:  # 0.7 + 0.2 + 0.1 is more than 1 in some orders
            raise ValueError("teacher.others: their shares add up to more than 1")
        models = [self.model, *(other.model for other in self.others)]
        if any(model.startswith("replay:") for model in models):
            raise ValueError("teacher.others: recorded outputs (replay:FILE) cannot be mixed with other teachers")
        return self

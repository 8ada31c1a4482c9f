"""The sections of a run's TOML file. Keys are a contract: `docs/spec.md` lists them, `qcrd init` writes them out."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

AnswerKind = Literal["number", "equation", "choice", "text", "latex"]


class Section(BaseModel):
    """A table of the TOML file: immutable, unknown keys refused, each field's docstring is its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def under(given: Any, defaults: dict[str, Any]) -> Any:
    """A section as given, with `defaults` for what it leaves unset; what is no section stays, to be refused."""
    if given is None:
        return defaults
    if isinstance(given, Section):
        given = {name: getattr(given, name) for name in given.model_fields_set}
    return {**defaults, **given} if isinstance(given, dict) else given


def _count_or_epoch(value: Any) -> Any:
    """One clear line in place of two, one for each member of the union."""
    if value == "epoch" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f'{value!r} should be a whole number from 1, or "epoch"')


def _one_group(pattern: str) -> str:
    from engine.answers.pattern import compiled

    compiled(pattern)
    return pattern


def _not_recorded(model: str) -> str:
    if model.startswith("replay:"):
        raise ValueError("recorded outputs cannot judge: name a model")
    return model


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
    return url


KeyVariable = Annotated[str, AfterValidator(_variable)]
KeyringEntry = Annotated[str, AfterValidator(_entry)]
Server = Annotated[str, AfterValidator(_server)]


class ArithmeticConfig(Section):
    """How much the built-in generator makes, and how hard."""

    train: Annotated[int, Field(ge=1)] = 4000
    """Training questions."""
    validation: Annotated[int, Field(ge=1)] = 500
    """Validation questions."""
    test: Annotated[int, Field(ge=1)] = 2000
    """Test questions."""
    unseen: Annotated[int, Field(ge=0)] = 1000
    """Test questions whose sequences of operations never occur in training."""
    steps: Annotated[tuple[Literal[1, 2, 3], ...], Field(min_length=1)] = (2, 3)
    """Steps of a question, each number as likely as the others."""


class DataConfig(Section):
    """Which questions."""

    dataset: str = "arithmetic"
    """Preset (arithmetic svamp cqa anli1 esnli gsm8k math), path (.jsonl .csv .parquet, or a folder with one file a
    split), or Hugging Face id (owner/name, or owner/name:config)."""
    columns: dict[Literal["id", "question", "answer", "choices"], str] = Field(default_factory=dict)
    """Which column of the file holds what, e.g. {question = "body", answer = "label"}."""
    answer: AnswerKind = "number"
    """Kind of answer: how it is parsed and compared."""
    answer_pattern: Annotated[str, AfterValidator(_one_group)] | None = None
    """A regular expression with one group around the answer, for teacher's texts that the kind's own rules do not
    read; tried right after the strict layout, its last match counts. `qcrd reparse` shows what it would change."""
    labels: Literal["teacher", "gold"] = "teacher"
    """Who supervises: the teacher's vote, or the dataset's gold answers."""
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training questions that is used, in (0, 1]."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Seed of the generator and of the hashed split; the run's seed where unset."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most this many questions a split (the first ones); unset: all."""
    arithmetic: ArithmeticConfig = ArithmeticConfig()
    """The dataset "arithmetic" alone: how much, and how hard."""


def _both_or_none(input_price: float | None, output_price: float | None) -> None:
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
        _both_or_none(self.input_usd_per_million, self.output_usd_per_million)
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
        _both_or_none(self.input_usd_per_million, self.output_usd_per_million)
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


class VoteConfig(Section):
    """How samples become positive and negative."""

    tie: Literal["drop", "first"] = "drop"
    """A tie for the largest cluster: drop the example from every teacher-supervised method, or take the first one."""
    drop_right_negatives: Literal["auto", "never"] = "auto"
    """auto: a negative with the right answer is dropped (by gold where labels = "gold", by the vote elsewhere)."""


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


class LoraConfig(Section):
    """Low-rank adapters over frozen weights; the export has them merged in."""

    r: Annotated[int, Field(ge=0)] = 0
    """Rank of the adapters; 0: none, all weights are trained."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """Their scale: what they add is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout of what goes into an adapter."""
    targets: tuple[str, ...] = ("auto",)
    """Names of the modules that get one, e.g. ["q_proj", "v_proj"]; auto: all linear layers but the output's."""
    quantise: Literal["none", "4bit"] = "none"
    """4bit: the frozen weights in NF4 (QLoRA; CUDA and bitsandbytes); the export is then the adapters alone."""


class StudentConfig(Section):
    """Who learns."""

    model: str = "builtin/t5-tiny"
    """builtin/t5-tiny, builtin/llama-tiny, a Hugging Face id, or a local folder: T5, Llama, Qwen or GPT-2."""
    chat: Literal["auto", True, False] = "auto"
    """Causal students: the prompt as the user's turn of the tokeniser's chat template; auto: where it has one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast over fp32 weights on CUDA, fp32 elsewhere. fp16 overflows in T5 and is not offered."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: the GPU if there is one."""
    max_question_tokens: Annotated[int, Field(ge=8)] = 512
    """Longest prompt in the student's tokens; what exceeds it is counted and shown."""
    max_rationale_tokens: Annotated[int, Field(ge=8)] = 512
    """Longest target in the student's tokens; what exceeds it is counted and shown."""
    too_long: Literal["cut", "skip"] = "cut"
    """A training question longer than max_question_tokens: cut it, or leave it out. Counted; others are always cut."""
    answer_in_rationale: bool = True
    """The explain target ends in the answer, so that the head can be scored."""
    lora: LoraConfig = LoraConfig()
    """Low-rank adapters."""


class TrainingConfig(Section):
    """How long and how fast."""

    steps: Annotated[int, Field(ge=1)] = 900
    """Optimiser steps."""
    iterations: Annotated[int | Literal["epoch"], BeforeValidator(_count_or_epoch)] = 50
    """Snapshots are counted in iterations: one is steps / iterations steps; "epoch": as many as there are epochs."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Questions per step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Peak learning rate of AdamW."""
    warmup: Annotated[int, Field(ge=0)] = 100
    """Steps of linear warm-up."""
    schedule: Literal["constant", "linear"] = "linear"
    """After warm-up: keep the learning rate, or let it fall linearly to 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's decoupled weight decay."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest gradient norm."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 200
    """Steps between checkpoints."""
    keep: Annotated[int, Field(ge=1)] = 2
    """Checkpoints kept beside the best one; older ones are deleted."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads, of all processes together; 0: one for the built-in student, else all cores, at most 4. A resumed run
    keeps its first number."""


class ComputeConfig(Section):
    """How it computes: speed and memory."""

    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that train together, on one machine: on CUDA each with a GPU of its own, on a CPU with its part of the
    threads. Loss and gradient stay those of the whole batch."""
    micro_batch: Annotated[int, Field(ge=0)] = 0
    """Questions of a batch that a process computes at once; 0: all. Halved where memory runs out. Loss and
    gradient stay those of the whole batch."""
    gradient_checkpointing: bool = False
    """Compute the layers again in the backward pass instead of keeping them: less memory, about a third more time."""
    compile: bool = False
    """The student's blocks through torch.compile: a minute or more at the start, less time a step. Without a compiler
    on the machine the run says so and goes on as it is. A resumed run then equals an unbroken one but for rounding."""
    choice: Literal["step", "iteration"] = "step"
    """step: all candidates of a batch are scored, then the chosen are learnt from. iteration: all that an iteration
    needs are scored in bulk at its start, and a step only learns: less time, by an older choice. The cross-entropy of a
    visit is then the one chosen by, but where it is chosen and active."""
    choice_age: Annotated[int, Field(ge=1)] = 1
    """With choice = "iteration": iterations for which a candidate's cross-entropy is chosen by before it is scored
    again. 1 saves little where an iteration is shorter than an epoch, since each visit is then scored for itself."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """A loss or gradient that is no number: stop, or leave the step out (20 in a row stop the run all the same)."""


class EvaluationConfig(Section):
    """How the student is judged."""

    every: Annotated[int, Field(ge=1)] = 150
    """Steps between evaluations on the validation set."""
    samples: Annotated[int, Field(ge=1)] = 1
    """Answers per question; more than one adds majority vote and pass@k."""
    validation_limit: Annotated[int, Field(ge=1)] = 500
    """Validation questions used while training (the first ones)."""
    followed: Annotated[int, Field(ge=0)] = 200
    """Training questions whose rationales are stored at every visit."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Questions generated at once."""

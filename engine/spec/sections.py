"""The sections of a run's TOML file. Keys are a contract: `docs/spec.md` lists them, `qcrd init` writes them out."""

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


def _count_or_auto(value: Any) -> Any:
    """As `_count_or_epoch`."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError(f'{value!r} should be a whole number from 0, or "auto"')


def _one_group(pattern: str) -> str:
    from engine.answers.pattern import compiled

    compiled(pattern)
    return pattern


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


class VoteConfig(Section):
    """How samples become positive and negative."""

    tie: Literal["drop", "first"] = "drop"
    """A tie for the largest cluster: drop the example from every teacher-supervised method, or take the first one."""
    drop_right_negatives: Literal["auto", "never"] = "auto"
    """auto: a negative with the right answer is dropped (by gold where labels = "gold", by the vote elsewhere)."""


class LoraConfig(Section):
    """Low-rank adapters over frozen weights; the export has them merged in."""

    r: Annotated[int, Field(ge=0)] = 0
    """Rank of the adapters; 0: none, all weights are trained."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """Their scale: what they add is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout of what goes into an adapter."""
    targets: tuple[str, ...] = ("auto",)
    """Names of the modules that get one, e.g. ["q_proj", "v_proj"]; auto: all linear layers but the output's;
    query-value: the projections of queries and values, however the model names them."""
    quantise: Literal["none", "4bit"] = "none"
    """4bit: the frozen weights in NF4 (QLoRA; CUDA and bitsandbytes); the export is then the adapters alone."""


BUILTIN_T5 = "builtin/t5-tiny"
BUILTIN_CAUSAL = "builtin/llama-tiny"
PRETRAIN_STEPS = 1200
"""Of the built-in base: a minute or two on two cores."""


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
    pretrain_steps: Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)] = "auto"
    """builtin/llama-tiny alone: steps on generated text before it is anybody's student, so that adapters have a base to
    build on; kept in a cache, and in the run's folder. auto: 1200 for it; 0: random weights."""
    lora: LoraConfig = LoraConfig()
    """Low-rank adapters."""

    @property
    def built_in(self) -> bool:
        """Whether its weights are made here, and are nowhere else."""
        return self.model in (BUILTIN_T5, BUILTIN_CAUSAL)

    @property
    def base_steps(self) -> int:
        """Steps of pre-training; 0: there is none."""
        if self.model != BUILTIN_CAUSAL:
            return 0
        return PRETRAIN_STEPS if self.pretrain_steps == "auto" else self.pretrain_steps

    @model_validator(mode="after")
    def _pretrained_here(self) -> "StudentConfig":
        if self.model != BUILTIN_CAUSAL and self.pretrain_steps not in ("auto", 0):
            raise ValueError(
                f"pretrain_steps is for {BUILTIN_CAUSAL}, the base that is made here; {self.model!r} is none of that "
                'kind: leave it at "auto"'
            )
        return self


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
    keeps its first number. With one thread and a core to spare, a small student's own negatives are written there."""


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
    again. Where an iteration is shorter than an epoch, 1 saves little: each visit is then scored for itself. For every
    n-th visit, n times an epoch's steps / an iteration's."""
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

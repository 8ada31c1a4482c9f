"""A provider's batch API, through litellm: a file up, a batch made, found again and looked at, its results down."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.errors import UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher import client
from engine.teacher.outcome import TeacherError, redact

PROVIDERS = ("openai", "azure")
"""Those whose batches litellm makes from lines of OpenAI's form and lists with our mark, so that none is made twice."""
MARK = "qcrd"
"""Key of our tag in a batch's metadata."""
IN_WORK = ("pending", "running")
"""States of a file that Azure is still reading."""
ENDED = ("completed", "failed", "expired", "cancelled")
PAGE = 100
"""Batches that are listed at once; the API gives no more."""
CLOCKS_APART = 3600.0
"""Seconds by which the provider's clock may differ from ours."""
UPLOAD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch as the provider shows it."""

    id: str
    status: str
    """validating, in_progress, finalizing, cancelling, or one of ENDED."""
    done: int
    failed: int
    output_file: str | None
    error_file: str | None
    error: str | None
    """One line, secrets removed: why the whole batch failed."""
    too_much: bool
    """Whether that was a limit on how much may wait at once."""


def check(teacher: TeacherConfig) -> None:
    """Raises UsageError where the teacher has no batch API that can be used."""
    name = provider(teacher)
    if name not in PROVIDERS:
        raise UsageError(
            f"teacher.batch: {teacher.model} has no batch API that qcrd can use (those of "
            f"{' and '.join(PROVIDERS)}, or openai/NAME with teacher.api_base for a server that speaks OpenAI's): "
            "set teacher.batch = false"
        )


def provider(teacher: TeacherConfig) -> str:
    """LiteLLM's name of it; the part before the slash where it knows none."""
    found = client.at_provider(teacher.model, teacher.api_base)
    return teacher.model.partition("/")[0] if found is None else found[1]


def endpoint(teacher: TeacherConfig) -> str:
    """Where each line goes."""
    return "/chat/completions" if provider(teacher) == "azure" else "/v1/chat/completions"


@lru_cache(maxsize=64)
def options(teacher: TeacherConfig, n: int) -> Mapping[str, Any]:
    """A line's body but for its messages, with the names that the model has for them."""
    try:
        model, wanted = client.parameters(teacher, n)
    except Exception as error:  # noqa: BLE001 - litellm's own class of error for each setting
        said = (
            redact(str(error), client.secret_of(teacher, client.key_of(teacher)))
            .partition(": ")[2]
            .partition(" To drop")[0]
        )
        raise UsageError(f"teacher.model: {teacher.model} does not take these settings: {said or error}") from None
    return {"model": model, **{k: v for k, v in wanted.items() if k not in ("extra_body", "max_retries", "stream")}}


def upload(teacher: TeacherConfig, name: str, lines: bytes) -> tuple[str, bool]:
    """The input file's id, and whether a batch can be made of it already. Raises TeacherError, as all below."""
    timeout = max(teacher.timeout, UPLOAD_SECONDS)
    made = _call(teacher, "create_file", file=(name, lines), purpose="batch", timeout=timeout)
    return str(made.id), made.status not in IN_WORK


def ready(teacher: TeacherConfig, file: str) -> bool:
    """Whether the provider has read the input file."""
    return _call(teacher, "file_retrieve", file_id=file).status not in IN_WORK


def submit(teacher: TeacherConfig, input_file: str, tag: str) -> Seen:
    """Makes the batch."""
    made = _call(
        teacher,
        "create_batch",
        completion_window="24h",
        endpoint=endpoint(teacher),
        input_file_id=input_file,
        metadata={MARK: tag},
    )
    return _seen(teacher, made)


def find(teacher: TeacherConfig, tag: str, since: float) -> Seen | None:
    """The batch that has our tag, among those made since then (seconds since 1970); None where there is none."""
    after: str | None = None
    while True:
        page = _call(teacher, "list_batches", after=after, limit=PAGE)
        found = list(page.data or [])
        for one in found:
            if (one.metadata or {}).get(MARK) == tag:
                return _seen(teacher, one)
        if not found or not getattr(page, "has_more", False) or found[-1].created_at < since - CLOCKS_APART:
            return None
        after = found[-1].id


def look(teacher: TeacherConfig, batch: str) -> Seen:
    """How far it is."""
    return _seen(teacher, _call(teacher, "retrieve_batch", batch_id=batch))


def fetch(teacher: TeacherConfig, file: str) -> bytes:
    """A file's content."""
    timeout = max(teacher.timeout, UPLOAD_SECONDS)
    return bytes(_call(teacher, "file_content", file_id=file, timeout=timeout).content)


def cancel(teacher: TeacherConfig, batch: str) -> Seen:
    """What is not done yet is not done any more, and not paid for."""
    return _seen(teacher, _call(teacher, "cancel_batch", batch_id=batch))


def _call(teacher: TeacherConfig, name: str, **options: Any) -> Any:
    """One of litellm's functions, never its asynchronous twin: that downloads a finished batch to reckon its price."""
    litellm = client.load_litellm()
    key = client.key_of(teacher)
    if teacher.api_base:
        options["api_base"] = teacher.api_base
    if key:
        options["api_key"] = key
    try:
        return getattr(litellm, name)(
            **{"timeout": teacher.timeout, **options}, custom_llm_provider=provider(teacher), max_retries=0
        )
    except Exception as error:  # noqa: BLE001 - whatever the provider's client or a broken body raised
        raise TeacherError(client.fault_of(error, client.secret_of(teacher, key))) from None


def _seen(teacher: TeacherConfig, batch: Any) -> Seen:
    counts = batch.request_counts
    errors = list(getattr(batch.errors, "data", None) or [])
    said = "; ".join(str(e.message) for e in errors if e.message)
    return Seen(
        str(batch.id),
        str(batch.status),
        counts.completed if counts else 0,
        counts.failed if counts else 0,
        batch.output_file_id or None,
        batch.error_file_id or None,
        redact(said, client.secret_of(teacher, client.key_of(teacher))) if said else None,
        any(e.code == "token_limit_exceeded" for e in errors),
    )

"""What becomes of one request to a teacher: completions, or a fault. Light: the store uses it too."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)\Z", re.IGNORECASE)
SECRET_LOOK = re.compile(r"\b(?:sk|pk|hf|gsk|xai)[-_][A-Za-z0-9_\-*.]{6,}|\bAIza[\w-]{10,}|(?<=Bearer )[^\s'\"]{4,}")
LONGEST_MESSAGE = 400
"""Characters of an error that are kept."""

FaultKind = Literal["timeout", "unreachable", "rate-limit", "server", "body", "empty", "key", "request", "question"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One choice of a teacher's answer, raw."""

    text: str
    finish: str | None = None
    """Why it ended: stop, length, ..."""
    input_tokens: int | None = None
    """Tokens of the prompt; a request is billed once, so the first of its completions has them and the others 0."""
    output_tokens: int | None = None
    """Tokens of the answer; the provider tells a request's sum, which is shared out evenly."""
    reasoning: str | None = None
    """What the model thought before it answered, where it shows that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All that one successful request brought."""

    completions: tuple[Completion, ...]
    """At most as many as were asked for, each with a text, or with reasoning that never came to one."""
    fault: "Fault | None" = None
    """Why there are no completions, where there are none: it is paid for all the same."""
    model: str | None = None
    """As the provider named it."""
    provider_id: str | None = None
    """The provider's own number of the request."""
    input_tokens: int | None = None
    """As billed; None where the provider does not say. So the next two."""
    output_tokens: int | None = None
    """Of all choices together, hidden reasoning included."""
    reasoning_tokens: int | None = None
    """Of those, the hidden reasoning's."""
    raw: str = ""
    """The whole answer as JSON, the teacher's key removed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request brought nothing."""

    kind: FaultKind
    message: str
    """One line, secrets removed."""
    status: int | None = None
    """HTTP status where the provider sent one."""
    retry_after: float | None = None
    """Seconds that the provider asks us to wait."""
    sent: bool = True
    """False: it never left this process, or no connection was made: the provider never saw the request."""

    @property
    def retryable(self) -> bool:
        """Whether asking again may help."""
        return self.kind not in ("key", "request", "question")

    @property
    def billed(self) -> bool | None:
        """Whether it may stand on the bill: False where it was refused or never seen, None where nobody can tell."""
        if self.kind in ("timeout", "unreachable", "body"):
            return None if self.sent else False
        return self.kind == "empty"

    def __str__(self) -> str:
        return f"{self.kind} fault{f' (HTTP {self.status})' if self.status else ''}: {self.message}"


class TeacherError(Exception):
    """Carries a `Fault` from the client to whoever retries."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def redact(text: str, *secrets: str | None) -> str:
    """One line of at most LONGEST_MESSAGE characters without the secrets given, without the values of environment
    variables named like secrets, and without anything that looks like a key."""
    text = without(text, [s for s in secrets if s] + from_environment(6))
    line = " ".join(SECRET_LOOK.sub("[redacted]", text[: 20 * LONGEST_MESSAGE]).split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def from_environment(shortest: int) -> list[str]:
    """Values of environment variables that are named like secrets, of so many characters at least."""
    return [v for name, v in os.environ.items() if SECRET_NAME.search(name) and len(v) >= shortest]


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, be they written as they are, as in a URL or as in JSON."""
    for form in _forms(frozenset(secrets)):
        text = text.replace(form, "[redacted]")
    return text


@lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """How the secrets may be written, the longest first; kept: every text of every answer is searched for them."""
    forms = set()
    for secret in secrets:
        in_url = {quote(secret, safe="", errors="replace"), quote(secret, errors="replace")}
        lower = {re.sub("%..", lambda code: code[0].lower(), form) for form in in_url}
        forms |= {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], *in_url, *lower}
    return tuple(sorted(forms, key=len, reverse=True))

"""The one place that calls litellm. It is imported inside functions: it takes seconds, and readers never need it."""

import gc
import json
import math
import os
import sys
import time
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Any

from engine.errors import SpecError, UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher.keys import check_key, from_keyring, variables_of
from engine.teacher.local import check_folder, let_go, register_local
from engine.teacher.messages import STOP, style_of
from engine.teacher.outcome import Answer, Completion, Fault, TeacherError, from_environment, redact, without
from engine.teacher.reasoning import of_message

Messages = list[dict[str, str]]
IN_PROCESS = ("builtin/", "local/")
"""Teachers that need no key, take n and draw sample number s from the seed s."""
NO_KEY = "none-needed"
"""Sent to an api_base where no key is set: local servers want none, the OpenAI client insists on one."""
SHORTEST_KEY = 8
"""Characters; shorter ones would be found in any text."""

NEVER_CONNECTED = (
    "ConnectionRefusedError", "gaierror", "ConnectTimeout", "ConnectError", "UnsupportedProtocol", "LocalProtocolError",
    "InvalidURL",
)  # fmt: skip
"""Errors of the libraries below litellm that end a try before anything is sent."""


async def complete(teacher: TeacherConfig, messages: Messages, n: int, first_slot: int = 0) -> Answer:
    """One request for n completions; at most n come back, none of them empty, and where there is none, why.

    `first_slot` (the number of the first sample asked for) is the seed of the built-in teacher; other providers get no
    seed, since they would repeat themselves. Retries are the caller's. Raises TeacherError, and nothing else that the
    provider or the network may cause.
    """
    litellm = load_litellm()
    key = key_of(teacher)
    options: dict[str, Any] = {"n": n} if n > 1 else {}
    if teacher.top_p is not None:
        options["top_p"] = teacher.top_p
    if teacher.model.startswith(IN_PROCESS):
        options["seed"] = first_slot
    if style_of(teacher) == "completion":
        options["stop"] = list(STOP)
    if teacher.api_base:
        options["api_base"] = teacher.api_base
    if key:
        options["api_key"] = key
    try:
        response = await litellm.acompletion(
            model=teacher.model,
            messages=messages,
            temperature=teacher.temperature,
            max_tokens=teacher.max_tokens,
            timeout=teacher.timeout,
            max_retries=0,
            num_retries=0,
            **options,
        )
    except Exception as error:  # noqa: BLE001 - litellm lets through whatever the provider's client or a broken body raised
        raise TeacherError(fault_of(error, secret_of(teacher, key))) from None
    if not teacher.model.startswith("local/"):  # its model has to be found and let go afterwards
        _leave_libraries_alone()
    return answer_of(response, n, secret_of(teacher, key))


@cache
def _leave_libraries_alone() -> None:
    """Half a million objects that litellm has loaded by its first answer stay to the end: looking through them for
    garbage again and again cost a call 0.5 ms."""
    gc.freeze()


def accepts_n(teacher: TeacherConfig) -> bool:
    """Whether the provider takes several completions in one request."""
    if teacher.model.startswith(IN_PROCESS):
        return True
    found = at_provider(teacher.model, teacher.api_base)
    if found is None:
        return False
    model, provider = found
    return "n" in (load_litellm().get_supported_openai_params(model, custom_llm_provider=provider) or [])


@lru_cache(maxsize=64)
def at_provider(model: str, api_base: str | None = None) -> tuple[str, str] | None:
    """The model's name at its provider, and litellm's name of that provider; None where it knows none."""
    try:
        name, provider, _, _ = load_litellm().get_llm_provider(model, api_base=api_base)
    except Exception:  # noqa: BLE001 - litellm's many words for one thing
        return None
    return str(name), str(provider)


def check(teacher: TeacherConfig) -> None:
    """Everything about a teacher that can be checked without a request: a known provider, a key where one is needed.

    Raises UsageError that names the variable to set. Imports litellm, except for replayed teachers.
    """
    if teacher.model.startswith(("replay:", "builtin/")):
        return
    if teacher.model.startswith("local/"):
        check_folder(teacher.model)
        return
    check_key(teacher.api_key_env, teacher.api_key_keyring)
    if at_provider(teacher.model, teacher.api_base) is None:
        raise SpecError(
            f"teacher.model: {teacher.model!r} names no provider that litellm knows; write provider/model, such as "
            "openai/gpt-4o-mini, or openai/NAME with teacher.api_base for a server of your own"
        )
    _check_settings(teacher)
    if teacher.api_key_env or teacher.api_key_keyring or teacher.api_base:
        return
    found = load_litellm().validate_environment(teacher.model)
    # one that ends otherwise (a region, a base URL) may come from a profile or has a default
    missing = [name for name in found["missing_keys"] if name.endswith("_API_KEY")]
    if missing and not found["keys_in_environment"] and not os.environ.get(key_variable(teacher)):
        raise UsageError(f"teacher.model: {teacher.model} needs a key: set the environment variable {missing[0]}")


def parameters(teacher: TeacherConfig, n: int) -> tuple[str, dict[str, Any]]:
    """The model's name at its provider, and the settings by the names that they have there.

    Raises whatever litellm raises over a setting that the model does not take.
    """
    model, provider = at_provider(teacher.model, teacher.api_base) or (teacher.model, None)
    given: dict[str, Any] = {"temperature": teacher.temperature, "max_tokens": teacher.max_tokens}
    if teacher.top_p is not None:
        given["top_p"] = teacher.top_p
    if n > 1:
        given["n"] = n
    if style_of(teacher) == "completion":
        given["stop"] = list(STOP)
    return model, load_litellm().utils.get_optional_params(model=model, custom_llm_provider=provider, **given)


def _check_settings(teacher: TeacherConfig) -> None:
    litellm = load_litellm()
    try:
        parameters(teacher, 1)
    except litellm.UnsupportedParamsError as error:
        said = redact(str(error), secret_of(teacher, key_of(teacher))).partition(": ")[2].partition(" To drop")[0]
        change = "set teacher.temperature = 1" if "temperature" in said else "change that setting"
        change = "leave teacher.top_p unset" if "'top_p'" in said else change
        raise UsageError(f"teacher.model: {teacher.model} does not take these settings: {said} {change}") from None
    except Exception:  # noqa: BLE001 - what it needs besides is told by the first request
        return


def key_variable(teacher: TeacherConfig) -> str:
    """The environment variable that the teacher's key is read from; where none is set, one that may be."""
    if teacher.api_key_env:
        return teacher.api_key_env
    _, provider = at_provider(teacher.model, teacher.api_base) or ("", "openai")
    names = variables_of(provider)
    return next((name for name in names if os.environ.get(name)), names[0])


async def close() -> None:
    """Closes the connections that litellm holds in this event loop, and lets a model in this process go."""
    let_go()
    if "litellm" not in sys.modules:  # stopped before its first request: nothing to close, and an import of seconds
        return
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    await close_litellm_async_clients()  # type: ignore[no-untyped-call]


@cache
def load_litellm() -> Any:
    """litellm, its switches set before it is imported; seconds the first time."""
    # read at import: without the first it fetches a price list, without the second it loads any .env above it
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    import litellm

    from engine.teacher.providers import register_builtin

    litellm.suppress_debug_info = True  # otherwise it prints coloured advice to stdout
    litellm.disable_hf_tokenizer_download = True  # counting tokens must not wait for a network
    register_builtin()
    register_local()
    _keep_from_asking_ollama()
    return litellm


def _keep_from_asking_ollama() -> None:
    """LiteLLM asks an Ollama server about its model up to four times a request, within the event loop."""
    from litellm.llms.ollama.common_utils import OllamaModelInfo

    def known(self: Any, model: str, api_base: str | None = None, api_key: str | None = None) -> dict[str, Any]:
        return {
            "key": model, "litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0,
            "output_cost_per_token": 0.0, "max_tokens": None, "max_input_tokens": None, "max_output_tokens": None,
        }  # fmt: skip

    OllamaModelInfo.get_model_info = known  # type: ignore[method-assign]


def key_of(teacher: TeacherConfig) -> str | None:
    """The key to send; None: litellm reads the provider's own variable."""
    if teacher.api_key_keyring:
        return from_keyring(teacher.api_key_keyring)
    if teacher.api_key_env:
        return os.environ.get(teacher.api_key_env) or NO_KEY
    if teacher.api_base and not os.environ.get(key_variable(teacher)):
        return NO_KEY
    return None  # litellm reads its own variable


def secret_of(teacher: TeacherConfig, key: str | None) -> str | None:
    """What must not be stored: the key that was sent, be it ours or read by litellm."""
    return None if key == NO_KEY else key or os.environ.get(key_variable(teacher))


def answer_of(response: Any, n: int, key: str | None, raw: str | None = None) -> Answer:
    """What litellm's response holds. `raw`: what came, where that is more than the response."""
    secrets = _secrets(key)
    choices = list(response.choices or [])
    read = [(*of_message(c.message), c.finish_reason) for c in choices[:n]]
    texts = [(without(reasoning or "", secrets), without(text, secrets), finish) for reasoning, text, finish in read]
    # reasoning without an answer is paid for, and would hardly end another time: an answer that is missing
    full = [(reasoning, text, finish) for reasoning, text, finish in texts if text.strip() or reasoning.strip()]
    fault = None
    if not full:
        what = "every choice is empty" if choices else "no choices"
        finish = f" (finish reason: {texts[0][2]})" if texts else ""
        fault = Fault("empty", f"the answer has no text: {what}{finish}", 200)
    usage = getattr(response, "usage", None)
    sent, written = (getattr(usage, name, None) or None for name in ("prompt_tokens", "completion_tokens"))
    details = getattr(usage, "completion_tokens_details", None)
    completions = tuple(
        Completion(
            text,
            finish,
            None if sent is None else (sent if i == 0 else 0),
            None if written is None else written // len(full) + (i < written % len(full)),
            reasoning or None,
        )
        for i, (reasoning, text, finish) in enumerate(full)
    )
    return Answer(
        completions,
        fault,
        model=response.model and without(response.model, secrets),
        provider_id=response.id and without(response.id, secrets),
        input_tokens=sent,
        output_tokens=written,
        reasoning_tokens=getattr(details, "reasoning_tokens", None),
        raw=without(raw or json.dumps(response.model_dump(warnings=False), default=str), secrets),
    )


def _secrets(key: str | None) -> list[str]:
    """What a server may repeat in its answer, as in its errors."""
    return [s for s in {key or "", *from_environment(SHORTEST_KEY)} if len(s) >= SHORTEST_KEY]


def fault_of(error: Exception, key: str | None) -> Fault:
    """What litellm's exception means; it gives status 500 to much that never had one."""
    litellm = load_litellm()
    said = str(error).removeprefix(f"litellm.{type(error).__name__}: ").split("Traceback (most recent call last)")[0]
    message = redact(said, key)
    headers = getattr(error, "litellm_response_headers", None) or {}
    status = getattr(error, "status_code", None)
    if isinstance(error, litellm.UnsupportedParamsError) and not headers:  # litellm's own words
        return Fault("request", message, sent=False)
    if isinstance(error, litellm.Timeout):
        return Fault("timeout", message)
    if (
        isinstance(error, litellm.APIConnectionError)
        or message.endswith("Connection error.")
        or "Cannot connect to host" in message
    ):
        return Fault("unreachable", message, sent=not _never_connected(error))
    if status == 422 and not headers:  # an error in the body of a 200
        return Fault("body", message, 200)
    if not isinstance(status, int) or (
        status == 500 and not headers and isinstance(error, litellm.InternalServerError)
    ):
        return Fault("body", message)
    if status in (401, 403):
        return Fault("key", message, status)
    if status == 429:
        return Fault("rate-limit", message, status, _seconds(headers.get("retry-after")))
    if isinstance(error, litellm.ContextWindowExceededError | litellm.ContentPolicyViolationError):
        return Fault("question", message, status)
    if status in (408, 409, 425) or status >= 500 or status < 400:
        return Fault("server", message, status, _seconds(headers.get("retry-after")))
    return Fault("request", message, status)


def _never_connected(error: BaseException | None) -> bool:
    """Whether the connection itself failed: nothing can have been billed then."""
    for _ in range(10):
        if error is None:
            return False
        name = type(error).__name__
        if name.startswith("ClientConnector") or name in NEVER_CONNECTED:
            return True
        error = error.__cause__ or error.__context__
    return False


def _seconds(text: str | None) -> float | None:
    """Retry-After in seconds, whether it is told in seconds or as a date; None: neither."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None

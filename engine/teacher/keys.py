"""Where a teacher's key comes from: an environment variable or a keyring, by name. It is written nowhere."""

import os
from functools import cache

from engine.errors import UsageError

VARIABLES = {
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "custom_openai": ("OPENAI_API_KEY",),
    "friendliai": ("FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"),
    "gemini": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "huggingface": ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "replicate": ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "text-completion-codestral": ("CODESTRAL_API_KEY",),
    "text-completion-openai": ("OPENAI_API_KEY",),
    "together_ai": ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    "volcengine": ("ARK_API_KEY", "VOLCENGINE_API_KEY"),
    "watsonx": ("WATSONX_API_KEY", "WX_API_KEY"),
}
"""What litellm reads a provider's key from, the first that is set, where that is not its name and _API_KEY."""
INSTALL = "pip install 'qcrd[keyring]'"


def variables_of(provider: str) -> tuple[str, ...]:
    """The environment variables that litellm reads the provider's key from, the first that is set."""
    return VARIABLES.get(provider, (f"{provider.upper().replace('-', '_')}_API_KEY",))


def place_of(variable: str, entry: str | None) -> str:
    """Where the key is, for a person."""
    return f"the keyring's entry {entry}" if entry else f"the environment variable {variable}"


def check_key(variable: str | None, entry: str | None) -> None:
    """Raises UsageError where the key that the spec names is not there."""
    if variable and not os.environ.get(variable):
        raise UsageError(
            f"teacher.api_key_env: the environment variable {variable} is not set; export it with the teacher's key"
        )
    if entry:
        from_keyring(entry)


@cache  # one request after another must not ask the keyring's service again
def from_keyring(entry: str) -> str:
    """The key of an entry "service/user". Raises UsageError where there is none, or no keyring."""
    service, _, user = entry.rpartition("/")
    where = f"teacher.api_key_keyring = {entry!r}"
    try:
        import keyring
    except ImportError:
        raise UsageError(f"{where}: the package keyring is not installed: {INSTALL}") from None
    try:
        key = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - each backend has errors of its own
        raise UsageError(
            f"{where}: the keyring cannot be read ({type(error).__name__}); unlock it, or use teacher.api_key_env"
        ) from None
    if not key:
        raise UsageError(f"{where}: the keyring has no such entry; `keyring set {service} {user}` makes it")
    return str(key)

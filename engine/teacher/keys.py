"""Where a teacher's key comes from: an environment variable or a keyring, by name. It is written nowhere."""

import os
from functools import cache

from engine.errors import UsageError

INSTALL = "pip install 'qcrd[keyring]'"


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

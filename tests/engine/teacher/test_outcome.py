"""Errors of providers lose their secrets before anybody sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.teacher.outcome import LONGEST_MESSAGE, Fault, redact


def test_secrets_of_every_kind_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "abcdef-plain-value")
    monkeypatch.setenv("OTHER_TOKEN", "tok123456")
    text = redact(
        "bad key abcdef-plain-value and tok123456, sk-proj-AbC123xyz789, Bearer zzzz.yyyy, given own-secret",
        "own-secret",
    )
    for secret in ("abcdef-plain-value", "tok123456", "sk-proj-AbC123xyz789", "zzzz.yyyy", "own-secret"):
        assert secret not in text
    assert text.count("[redacted]") == 5
    assert text.startswith("bad key ")


@given(st.text(max_size=3000))
def test_an_error_is_one_bounded_line(text: str) -> None:
    line = redact(text)
    assert "\n" not in line
    assert len(line) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("kind", "again"), [("server", True), ("rate-limit", True), ("empty", True), ("key", False), ("request", False)]
)
def test_what_is_worth_another_try(kind: str, again: bool) -> None:
    assert Fault(kind, "x").retryable is again  # type: ignore[arg-type]

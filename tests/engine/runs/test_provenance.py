"""Where numbers come from, without a secret among it."""

import subprocess
import sys

import pytest

from engine.runs.provenance import collect
from engine.spec.run import RunSpec


def test_it_names_code_machine_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1234")
    found = collect(RunSpec(seed=4), "ab" * 32)
    assert {"python", "platform", "torch", "transformers", "cpu", "cores", "sqlite", "command"} <= set(found)
    assert (found["data_hash"], found["seed"], found["data_seed"]) == ("ab" * 32, "4", "4")
    assert all(isinstance(value, str) and value for value in found.values())
    assert "sk-secret-1234" not in str(found)


def test_without_git_it_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert "commit" not in collect(RunSpec(), "")


def test_it_loads_nothing_heavy() -> None:
    code = """
import sys
from engine.runs.provenance import collect
from engine.spec.run import RunSpec
collect(RunSpec(), "")
assert not {"torch", "transformers", "litellm", "datasets", "pandas"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

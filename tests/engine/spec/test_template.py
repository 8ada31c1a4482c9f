"""Writing a spec as TOML, bare or commented, and the page made from the models."""

import tomllib
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.spec.document import document
from engine.spec.methods import METHOD_MODELS
from engine.spec.run import RunSpec
from engine.spec.template import template, to_toml

ROOT = Path(__file__).resolve().parents[3]
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


def test_the_template_loads_back_as_the_defaults() -> None:
    assert RunSpec.model_validate(tomllib.loads(template())) == RunSpec()


def test_the_template_explains_every_key_in_the_order_of_the_models() -> None:
    lines = template().splitlines()
    tables = [line for line in lines if line.startswith("[")]
    assert [t for t in tables if "." not in t] == [
        "[data]",
        "[teacher]",
        "[vote]",
        "[selection]",
        "[student]",
        "[method]",
        "[training]",
        "[compute]",
        "[evaluation]",
    ]
    for before, line in pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("#"), line
    assert "# limit =" in lines


@given(
    name=names,
    question=names,
    seed=st.integers(0, 2**63 - 1),
    lr=positive,
    limit=st.none() | st.integers(1, 10**9),
    method=st.sampled_from(list(METHOD_MODELS)),
)
def test_any_spec_reads_back_as_written(name, question, seed, lr, limit, method) -> None:
    spec = RunSpec.model_validate(
        {
            "name": name,
            "seed": seed,
            "data": {"columns": {"question": question}, "limit": limit},
            "teacher": {"prompt": question},
            "method": {"name": method},
            "training": {"lr": lr},
        }
    )
    assert RunSpec.model_validate(tomllib.loads(to_toml(spec))) == spec


def test_the_page_about_the_spec_is_up_to_date() -> None:
    page = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    assert page == document(), "run: python -m engine.spec.document > docs/spec.md"

"""Where a new run can start from: a name, and the keys it sets; all others are at their defaults."""

STARTING_POINTS: dict[str, dict[str, str]] = {
    "the built-in experiment": {},
    "your questions, any teacher": {
        "name": '"my-run"',
        "data.dataset": '"questions.jsonl"',
        "teacher.model": '"openai/gpt-4o-mini"',
        "teacher.budget_usd": "5.0",
        "student.model": '"google/flan-t5-small"',
        "training.lr": "5e-4",
    },
    "recorded samples, no calls": {
        "name": '"recorded"',
        "data.dataset": '"questions.jsonl"',
        "teacher.model": '"replay:questions.jsonl"',
        "student.model": '"google/flan-t5-small"',
        "training.lr": "5e-4",
    },
    "QCRD as published": {
        "name": '"qcrd-paper"',
        "data.dataset": '"svamp"',
        "data.answer": '"equation"',
        "teacher.model": '"openai/gpt-4o-mini"',
        "teacher.budget_usd": "5.0",
        "student.model": '"google-t5/t5-base"',
        "method.profile": '"paper"',
        "training.lr": "5e-5",
    },
    "the plainest baseline: the vote's label and one rationale": {
        "name": '"dss-majority"',
        "method.name": '"dss"',
        "method.samples": '"majority"',
    },
}
"""Values as TOML."""

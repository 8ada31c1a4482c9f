"""What the end of a run says of its bill."""

import pytest

from app.cli.summary import spent_line

ROW = {
    "model": "openai/m",
    "calls": 30,
    "bought_samples": 0,
    "reused_samples": 0,
    "verdicts": None,
    "price_usd": 0.5,
    "unknown_prices": 0,
    "in_doubt": 0,
    "in_doubt_usd": None,
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bought_samples": 150}, "teacher openai/m: 30 calls, 150 samples bought for $0.5"),
        ({"verdicts": 29}, "judge openai/m: 30 calls, 29 verdicts bought for $0.5"),
        ({"verdicts": 0}, "judge openai/m: 30 calls, 0 verdicts bought for $0.5"),
        (
            {"verdicts": 29, "bought_samples": 5, "reused_samples": 7},
            "teacher openai/m: 30 calls, 5 samples and 29 verdicts bought for $0.5, 7 reused",
        ),
        (
            {"bought_samples": 5, "in_doubt": 2, "in_doubt_usd": 0.25},
            "teacher openai/m: 30 calls, 5 samples bought for $0.5, 2 in doubt (at most $0.25)",
        ),
        (
            {"bought_samples": 5, "in_doubt": 2},
            "teacher openai/m: 30 calls, 5 samples bought for $0.5, 2 in doubt (at an unknown price)",
        ),
    ],
)
def test_a_line_says_what_was_bought_and_what_is_in_doubt(changed: dict[str, object], said: str) -> None:
    assert spent_line(ROW | changed) == said

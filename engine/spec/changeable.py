"""Settings that a run which has begun can be given anew. Without the models: the console reads them at once."""

CHANGEABLE = tuple(
    f"teacher.{name}"
    for name in (
        "budget_usd",
        "budget_tokens",
        "budget_calls",
        "batch",
        "in_doubt",
        "input_usd_per_million",
        "output_usd_per_million",
    )
)
"""What may be set anew for a run that has begun: it changes what is bought, not what comes of it."""

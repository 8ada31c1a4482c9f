"""The table of sums that `teacher_spend` shows, and the triggers that keep it, as SQL; part of `tables.py`.

A look at a run that buys for hours must not read all its tries again: the sums change together with what they count.
"""


def _is_call(row: str) -> str:
    """Whether the provider saw that attempt; see NEVER_SENT in views.py."""
    return f"(NOT ({row}.billed IS 0 AND {row}.status IS NULL AND {row}.batch_id IS NULL))"


def _counts(row: str) -> str:
    """What that attempt adds to TRIES; a response with a price takes its unknown one back."""
    call = _is_call(row)
    return f"1, {row}.attempt > 1, {call}, {row}.state = 'failed' AND {call}, {row}.billed IS 1"


def _model(row: str) -> str:
    """The teacher that an attempt asks."""
    return (
        f"coalesce((SELECT model FROM requests WHERE id = {row}.request_id),"
        f" (SELECT teacher FROM runs WHERE id = {row}.run_id))"
    )


def _more(*columns: str) -> str:
    """The end of an INSERT that adds to the row where it is there; null adds nothing."""
    sums = ", ".join(f"{c} = coalesce({c} + excluded.{c}, {c}, excluded.{c})" for c in columns)
    return f"ON CONFLICT (run_id, model) DO UPDATE SET {sums}"


TRIES = ("tries", "retries", "calls", "failed_calls", "unknown_prices")
BILLED = ("unknown_prices", "input_tokens", "output_tokens", "reasoning_tokens", "price_usd")
USED = ("bought", "reused", "reused_priced", "reused_usd")


def _used(row: str, sign: str) -> str:
    """Counts the sample that a row of run_samples has, unless the run uses it for another question as well."""
    return f"""
    INSERT INTO spending (run_id, model, {", ".join(USED)})
    SELECT {row}.run_id, model, {sign}mine, {sign}(NOT mine), {sign}(NOT mine AND price IS NOT NULL),
        {sign}CASE WHEN NOT mine THEN price END
    FROM (
        SELECT s.model, coalesce(a.run_id = {row}.run_id, 0) AS mine,
            p.price_usd / (SELECT count(*) FROM samples o WHERE o.response_id = p.id) AS price
        FROM samples s
        LEFT JOIN responses p ON p.id = s.response_id
        LEFT JOIN attempts a ON a.id = p.attempt_id
        WHERE s.id = {row}.sample_id)
    WHERE NOT EXISTS (
        SELECT 1 FROM run_samples u WHERE u.run_id = {row}.run_id AND u.sample_id = {row}.sample_id
        AND (u.example, u.slot) <> (new.example, new.slot))
    {_more(*USED)};"""


SPENDING_TABLES = f"""
CREATE TABLE spending (                 -- sums by run and teacher, kept by triggers; teacher_spend shows them
    run_id INTEGER NOT NULL REFERENCES runs(id),
    model TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    failed_calls INTEGER NOT NULL DEFAULT 0,
    unknown_prices INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    price_usd REAL,
    bought INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    reused_priced INTEGER NOT NULL DEFAULT 0,   -- of those, samples whose price is known
    reused_usd REAL,
    PRIMARY KEY (run_id, model)
) WITHOUT ROWID;
INSERT INTO spending (run_id, model, {", ".join(TRIES)}, {", ".join(BILLED[1:])})
SELECT a.run_id, coalesce(q.model, r.teacher) AS who, count(*), sum(a.attempt > 1), sum({_is_call("a")}),
    sum(a.state = 'failed' AND {_is_call("a")}), sum(a.billed IS 1 AND p.price_usd IS NULL),
    sum(p.input_tokens), sum(p.output_tokens), sum(p.reasoning_tokens), sum(p.price_usd)
FROM attempts a JOIN runs r ON r.id = a.run_id
LEFT JOIN requests q ON q.id = a.request_id
LEFT JOIN responses p ON p.attempt_id = a.id
GROUP BY a.run_id, who;
INSERT INTO spending (run_id, model, {", ".join(USED)})
SELECT run_id, model, sum(mine), sum(NOT mine), sum(NOT mine AND price IS NOT NULL),
    sum(CASE WHEN NOT mine THEN price END)
FROM (
    SELECT DISTINCT u.run_id AS run_id, s.model, s.id, coalesce(a.run_id = u.run_id, 0) AS mine,
        p.price_usd / (SELECT count(*) FROM samples o WHERE o.response_id = p.id) AS price
    FROM run_samples u
    JOIN samples s ON s.id = u.sample_id
    LEFT JOIN responses p ON p.id = s.response_id
    LEFT JOIN attempts a ON a.id = p.attempt_id)
WHERE true
GROUP BY run_id, model
{_more(*USED)};
CREATE INDEX run_samples_sample ON run_samples (run_id, sample_id);
CREATE INDEX attempts_failed ON attempts (run_id) WHERE state = 'failed';
CREATE INDEX attempts_open ON attempts (run_id) WHERE state = 'sent' AND batch_id IS NULL;
CREATE INDEX attempts_doubtful ON attempts (run_id) WHERE billed IS NULL AND state <> 'sent';
CREATE TRIGGER attempt_counted AFTER INSERT ON attempts BEGIN
    INSERT INTO spending (run_id, model, {", ".join(TRIES)})
    VALUES (new.run_id, {_model("new")}, {_counts("new")})
    {_more(*TRIES)};
END;
CREATE TRIGGER attempt_recounted AFTER UPDATE OF state, status, billed, batch_id ON attempts BEGIN
    UPDATE spending SET calls = calls + {_is_call("new")} - {_is_call("old")},
        failed_calls = failed_calls + (new.state = 'failed' AND {_is_call("new")})
            - (old.state = 'failed' AND {_is_call("old")}),
        unknown_prices = unknown_prices + (new.billed IS 1) - (old.billed IS 1)
    WHERE run_id = new.run_id AND model = {_model("new")};
END;
CREATE TRIGGER response_counted AFTER INSERT ON responses BEGIN
    INSERT INTO spending (run_id, model, {", ".join(BILLED)})
    SELECT a.run_id, {_model("a")}, -(new.price_usd IS NOT NULL), new.input_tokens, new.output_tokens,
        new.reasoning_tokens, new.price_usd
    FROM attempts a WHERE a.id = new.attempt_id
    {_more(*BILLED)};
END;
CREATE TRIGGER sample_used AFTER INSERT ON run_samples BEGIN{_used("new", "")}
END;
CREATE TRIGGER sample_exchanged AFTER UPDATE OF sample_id ON run_samples WHEN new.sample_id <> old.sample_id BEGIN\
{_used("old", "-")}{_used("new", "")}
END;
"""

"""The views of experiments.db, as SQL: what people ask; `docs/schema.md` explains them. A view holds no data."""

STALE_AFTER = 15.0
"""Seconds without a heartbeat after which a running worker counts as dead."""
NEVER_SENT = "(a.billed IS 0 AND a.status IS NULL AND a.batch_id IS NULL)"
"""Of attempts `a`: the provider never saw it, so that it is no call. What a provider refuses has a status."""


def _pairs_from(visits: str) -> str:
    """Chosen positive beside chosen negative, from one table.

    Joining a UNION, or a bracketed join, would materialise it for every run in the file; CROSS JOIN keeps the order.
    """
    return f"""
SELECT
    v.run_id, v.iteration, v.step, v.example, x.question, x.answer AS gold, o.answer AS vote,
    pt.text AS positive, pr.answer AS positive_answer, v.quality AS positive_quality,
    v.cross_entropy AS positive_cross_entropy, v.weight AS positive_weight, pr.source AS positive_source,
    nt.text AS negative, nr.answer AS negative_answer, n.quality AS negative_quality,
    n.cross_entropy AS negative_cross_entropy, n.weight AS negative_weight, nr.source AS negative_source,
    n.active, ps.model AS positive_teacher, ns.model AS negative_teacher,
    coalesce(qm.flagged, 0) AS question_flagged, qm.note AS question_note,
    coalesce(pm.flagged, 0) AS positive_flagged, pm.note AS positive_note,
    CASE WHEN n.number IS NOT NULL THEN coalesce(nm.flagged, 0) END AS negative_flagged, nm.note AS negative_note
FROM {visits} v
CROSS JOIN rationales pr ON pr.run_id = v.run_id AND pr.example = v.example AND pr.number = v.number
    AND pr.polarity = 'positive'
CROSS JOIN texts pt ON pt.id = pr.text_id
CROSS JOIN run_datasets d ON d.run_id = v.run_id
CROSS JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = v.example
LEFT JOIN votes o ON o.run_id = v.run_id AND o.example = v.example
LEFT JOIN {visits} n ON n.run_id = v.run_id AND n.example = v.example AND n.step = v.step AND n.chosen = 1
    AND (SELECT k.polarity FROM rationales k
         WHERE k.run_id = n.run_id AND k.example = n.example AND k.number = n.number) = 'negative'
LEFT JOIN rationales nr ON nr.run_id = n.run_id AND nr.example = n.example AND nr.number = n.number
LEFT JOIN texts nt ON nt.id = nr.text_id
LEFT JOIN run_samples pu ON pu.run_id = v.run_id AND pu.example = v.example AND pu.slot = pr.slot
    AND pr.source = 'teacher'
LEFT JOIN samples ps ON ps.id = pu.sample_id
LEFT JOIN run_samples nu ON nu.run_id = v.run_id AND nu.example = v.example AND nu.slot = nr.slot
    AND nr.source = 'minority'
LEFT JOIN samples ns ON ns.id = nu.sample_id
LEFT JOIN rationale_notes qm ON qm.run_id = v.run_id AND qm.example = v.example AND qm.number = -1
LEFT JOIN rationale_notes pm ON pm.run_id = v.run_id AND pm.example = v.example AND pm.number = v.number
LEFT JOIN rationale_notes nm ON nm.run_id = v.run_id AND nm.example = v.example AND nm.number = n.number
WHERE v.chosen = 1""".strip()


def alive(run: str) -> str:
    """Whether the run of that alias has a worker, as far as its heartbeat tells."""
    return (
        f"({run}.status IN ('running', 'paused') AND coalesce({run}.heartbeat_at, {run}.started_at, {run}.created_at)"
        f" >= (julianday('now') - 2440587.5) * 86400.0 - {STALE_AFTER})"
    )


SPEND = f"""
SELECT
    s.run_id, s.model, s.calls, s.failed_calls, s.bought AS bought_samples, s.input_tokens, s.output_tokens,
    s.reasoning_tokens, s.price_usd, s.unknown_prices, coalesce(d.tries, 0) AS in_doubt, d.usd AS in_doubt_usd,
    s.reused AS reused_samples, CASE WHEN s.reused_priced > 0 THEN s.reused_usd END AS reused_usd
FROM (SELECT * FROM spending WHERE tries OR bought OR reused) s  -- all 0: of a sample exchanged for another's
LEFT JOIN (
    SELECT l.run_id, coalesce(q.model, l.teacher) AS model, count(*) AS tries, sum(l.greatest_usd) AS usd
    FROM (
        SELECT a.run_id, a.request_id, a.greatest_usd, r.teacher
        FROM attempts a INDEXED BY attempts_doubtful JOIN runs r ON r.id = a.run_id
        WHERE a.billed IS NULL AND a.state <> 'sent'
        UNION ALL
        SELECT a.run_id, a.request_id, a.greatest_usd, r.teacher
        FROM attempts a INDEXED BY attempts_open JOIN runs r ON r.id = a.run_id
        WHERE a.state = 'sent' AND a.batch_id IS NULL AND a.billed IS NULL AND NOT {alive("r")}) l
    LEFT JOIN requests q ON q.id = l.request_id
    GROUP BY 1, 2) d ON d.run_id = s.run_id AND d.model = s.model""".strip()


VIEWS = f"""
CREATE VIEW run_summary AS
SELECT
    r.id, r.name,
    CASE WHEN r.status IN ('running', 'paused') AND NOT {alive("r")} THEN 'stale' ELSE r.status END AS status,
    r.method, r.dataset, r.teacher, r.student, r.seed,
    r.step, r.steps, r.iteration, r.iterations,
    p.accuracy AS predict_accuracy, p.low AS predict_accuracy_low, p.high AS predict_accuracy_high,
    e.accuracy AS explain_accuracy, e.low AS explain_accuracy_low, e.high AS explain_accuracy_high,
    coalesce(e.split, p.split) AS accuracy_split,
    (SELECT sum(s.last_at - s.started_at) FROM sessions s WHERE s.run_id = r.id) AS seconds,
    r.created_at, r.started_at, r.ended_at, r.heartbeat_at, r.error, r.folder,
    (SELECT g.group_id FROM group_runs g WHERE g.run_id = r.id) AS group_id,
    coalesce(m.star, 0) AS star, coalesce(m.archived, 0) AS archived, coalesce(m.note, '') AS note,
    coalesce((SELECT group_concat(t.tag, ' ') FROM run_tags t WHERE t.run_id = r.id), '') AS tags
FROM runs r
LEFT JOIN run_marks m ON m.run_id = r.id
LEFT JOIN scores p ON p.run_id = r.id AND p.who = 'student' AND p.head = 'predict' AND (p.split, p.step) = (
    SELECT s.split, s.step FROM scores s
    WHERE s.run_id = r.id AND s.who = 'student' AND s.head = 'predict' AND s.split IN ('test', 'validation')
    ORDER BY s.split = 'test' DESC, s.step DESC LIMIT 1)
LEFT JOIN scores e ON e.run_id = r.id AND e.who = 'student' AND e.head = 'explain' AND (e.split, e.step) = (
    SELECT s.split, s.step FROM scores s
    WHERE s.run_id = r.id AND s.who = 'student' AND s.head = 'explain' AND s.split IN ('test', 'validation')
    ORDER BY s.split = 'test' DESC, s.step DESC LIMIT 1);

CREATE VIEW metric_points AS
SELECT s.run_id, s.name, p.step, p.value, p.special, p.at
FROM series s JOIN points p ON p.series_id = s.id;

CREATE VIEW rationale_visits AS
SELECT run_id, example, step, number, iteration, quality, cross_entropy, weight, chosen, active FROM visits
UNION ALL
SELECT l.run_id, l.example, l.step, l.number, l.iteration, l.quality, l.cross_entropy, l.weight, l.chosen, l.active
FROM last_visits l
WHERE NOT EXISTS (
    SELECT 1 FROM visits v
    WHERE v.run_id = l.run_id AND v.example = l.example AND v.step = l.step AND v.number = l.number);

CREATE VIEW rationale_pairs AS
{_pairs_from("visits")}
UNION ALL
{_pairs_from("last_visits")}
AND NOT EXISTS (
    SELECT 1 FROM visits w
    WHERE w.run_id = v.run_id AND w.example = v.example AND w.step = v.step AND w.number = v.number);

CREATE VIEW test_answers AS
SELECT
    p.run_id, g.group_id, r.method, r.seed, p.split, p.example, x.question, x.answer AS gold, p.head,
    t.text, p.answer, p.correct, s.samples, s.correct AS samples_correct, s.majority AS majority_correct
FROM runs r
JOIN predictions p ON p.run_id = r.id AND p.split NOT IN ('followed', 'validation')
JOIN texts t ON t.id = p.text_id
LEFT JOIN group_runs g ON g.run_id = r.id
LEFT JOIN run_datasets d ON d.run_id = r.id
LEFT JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = p.example
LEFT JOIN sampled_answers s ON s.run_id = r.id AND s.split = p.split AND s.example = p.example AND s.head = p.head
    AND s.step = p.step;

CREATE VIEW drawn_votes AS
SELECT
    e.run_id, e.id AS evaluation, e.split, e.head, e.step, e.temperature, e.seed, d.example, d.position, x.question,
    x.answer AS gold, d.number, t.text, d.answer, d.cluster, d.correct, s.judge, s.judge_step, s.score
FROM evaluations e
JOIN drawn_answers d ON d.evaluation_id = e.id
JOIN texts t ON t.id = d.text_id
LEFT JOIN run_datasets r ON r.run_id = e.run_id
LEFT JOIN examples x ON x.dataset_id = r.dataset_id AND x.key = d.example
LEFT JOIN drawn_scores s ON s.evaluation_id = e.id AND s.example = d.example AND s.number = d.number;

CREATE VIEW teacher_samples AS
SELECT
    u.run_id, u.example, u.slot, x.question, x.answer AS gold, t.text, s.model, s.finish,
    s.input_tokens, s.output_tokens, s.created_at,
    r.polarity, r.answer, r.rule, rt.text AS rationale, r.reason, h.text AS reasoning,
    f.file AS imported_from, i.model AS imported_model
FROM run_samples u
JOIN samples s ON s.id = u.sample_id
JOIN texts t ON t.id = s.text_id
LEFT JOIN texts h ON h.id = s.reasoning_id
JOIN run_datasets d ON d.run_id = u.run_id
JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = u.example
LEFT JOIN rationales r ON r.run_id = u.run_id AND r.example = u.example AND r.slot = u.slot AND r.iteration = 0
LEFT JOIN texts rt ON rt.id = r.text_id
LEFT JOIN imported_samples i ON i.sample_id = s.id
LEFT JOIN imports f ON f.id = i.import_id;

CREATE VIEW teacher_requests AS
SELECT
    a.run_id, q.id AS request, a.id AS attempt, coalesce(q.purpose, 'sample') AS purpose,
    coalesce(q.model, r.teacher) AS model, a.example, q.slots, a.slots AS samples, a.attempt AS try,
    coalesce(q.state, a.state) AS request_state, a.state, a.sent_at, a.ended_at, a.status, a.error, a.billed,
    a.greatest_usd, a.greatest_tokens, p.price_usd, p.input_tokens, p.output_tokens, p.reasoning_tokens,
    p.model AS answered_by, p.provider_id, a.batch_id AS batch,
    a.billed IS NULL AND (a.state <> 'sent' OR (a.batch_id IS NULL AND NOT {alive("r")})) AS in_doubt
FROM attempts a
JOIN runs r ON r.id = a.run_id
LEFT JOIN requests q ON q.id = a.request_id
LEFT JOIN responses p ON p.attempt_id = a.id;

CREATE VIEW teacher_spend AS
{SPEND};
"""

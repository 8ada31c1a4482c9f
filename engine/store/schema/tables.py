"""The tables of experiments.db, as SQL; `migrations.py` applies them, `docs/schema.md` explains them.

Keys are given by the worker, not by SQLite, wherever a resumed run writes the same rows again: replacing them is then
free of duplicates. What is tailed by id has AUTOINCREMENT, since SQLite may give a deleted rowid out again.
"""

from engine.store.schema.evaluations import EVALUATION_TABLES
from engine.store.schema.ledger import (
    BATCH_TABLES,
    CLAIM_TABLES,
    IMPORT_TABLES,
    LEDGER_TABLES,
    MESSAGE_TABLES,
    MESSAGES_APART,
    REASONING_TABLES,
)
from engine.store.schema.spending import SPENDING_TABLES

SCHEMA_VERSION = 12
"""Also in PRAGMA user_version, so that a reader can tell without sqlite-utils."""
APPLICATION_ID = 0x71637264
"""In PRAGMA application_id: "qcrd", so that another program's database is never taken for ours."""

FIRST_TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'paused', 'interrupted', 'failed', 'done')),
    method TEXT NOT NULL,
    dataset TEXT NOT NULL,
    teacher TEXT NOT NULL,
    student TEXT NOT NULL,
    seed INTEGER NOT NULL,
    spec TEXT NOT NULL,                 -- the full spec, JSON
    folder TEXT NOT NULL,               -- checkpoints and exports, relative to the database's folder
    created_at REAL NOT NULL,           -- all times: seconds since 1970, UTC
    started_at REAL,
    ended_at REAL,
    heartbeat_at REAL,
    step INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL,
    iteration INTEGER NOT NULL DEFAULT 0,
    iterations INTEGER NOT NULL,
    error TEXT                          -- the one line of the failure
);
CREATE INDEX runs_name ON runs (name);
CREATE TABLE sessions (                 -- each process that worked on a run
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    started_at REAL NOT NULL,
    last_at REAL NOT NULL,              -- the session's last heartbeat, or its end
    first_step INTEGER NOT NULL DEFAULT 0,
    outcome TEXT                        -- done, failed, interrupted; null while it works or when it was killed
);
CREATE INDEX sessions_run ON sessions (run_id, id);
CREATE TABLE provenance (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    key TEXT NOT NULL,                  -- commit, python, torch, cpu, gpu, data_hash, ...
    value TEXT,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
CREATE TABLE stages (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,                 -- data, sample, vote, judge, train, evaluate, export
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    unit TEXT NOT NULL DEFAULT '',
    started_at REAL,
    ended_at REAL,
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;
CREATE TABLE orders (                   -- what people ask of a run; the worker reads them between steps
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    name TEXT NOT NULL CHECK (name IN ('pause', 'resume', 'stop', 'checkpoint')),
    created_at REAL NOT NULL,
    taken_at REAL
);
CREATE INDEX orders_waiting ON orders (run_id, id) WHERE taken_at IS NULL;
CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    at REAL NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('debug', 'info', 'warning', 'error')),
    stage TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL,
    detail TEXT                         -- a traceback
);
CREATE INDEX logs_run ON logs (run_id, id);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    name TEXT NOT NULL,
    UNIQUE (run_id, name)
);
CREATE TABLE points (
    series_id INTEGER NOT NULL REFERENCES series(id),
    step INTEGER NOT NULL,
    value REAL,                         -- null where special says what it was
    special TEXT,                       -- nan, inf, -inf
    at REAL NOT NULL,
    PRIMARY KEY (series_id, step)
) WITHOUT ROWID;

CREATE TABLE texts (                    -- every text once, whoever wrote it and however often
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,          -- first 16 bytes of SHA-256 of the UTF-8 text
    text TEXT NOT NULL
);
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
CREATE TABLE examples (
    dataset_id INTEGER NOT NULL REFERENCES datasets(id),
    key TEXT NOT NULL,                  -- the example's own id
    split TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT,                        -- gold; null where missing
    PRIMARY KEY (dataset_id, key)
) WITHOUT ROWID;
CREATE TABLE run_datasets (
    run_id INTEGER PRIMARY KEY REFERENCES runs(id),
    dataset_id INTEGER NOT NULL REFERENCES datasets(id)
);

CREATE TABLE attempts (                 -- every request to a teacher, written before it is sent
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    example TEXT NOT NULL,
    slots INTEGER NOT NULL,             -- samples asked for
    attempt INTEGER NOT NULL,           -- 1 for the first try
    state TEXT NOT NULL CHECK (state IN ('sent', 'done', 'failed')),
    sent_at REAL NOT NULL,
    ended_at REAL,
    status INTEGER,                     -- HTTP status where there was one
    error TEXT                          -- one line, secrets removed
);
CREATE INDEX attempts_run ON attempts (run_id, id);
CREATE TABLE samples (                  -- every completion as paid for; shared by all runs that ask the same
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,           -- hash over model, messages, sampling settings and the slot's number
    model TEXT NOT NULL,
    text_id INTEGER NOT NULL REFERENCES texts(id),
    finish TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    attempt_id INTEGER REFERENCES attempts(id),
    created_at REAL NOT NULL
);
CREATE TABLE run_samples (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    example TEXT NOT NULL,
    slot INTEGER NOT NULL,
    sample_id INTEGER NOT NULL REFERENCES samples(id),
    PRIMARY KEY (run_id, example, slot)
) WITHOUT ROWID;

CREATE TABLE votes (                    -- one row a training example
    run_id INTEGER NOT NULL REFERENCES runs(id),
    example TEXT NOT NULL,
    position INTEGER NOT NULL,          -- order in the training set
    answer TEXT,
    votes INTEGER NOT NULL,
    parsed INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    tie INTEGER NOT NULL,
    correct INTEGER,                    -- the vote against gold; null where gold is missing
    followed INTEGER NOT NULL,          -- 1: every visit of its rationales is kept
    PRIMARY KEY (run_id, example)
) WITHOUT ROWID;
CREATE TABLE rationales (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    number INTEGER NOT NULL,
    example TEXT NOT NULL,
    polarity TEXT NOT NULL CHECK (polarity IN ('positive', 'negative', 'dropped', 'unparsed')),
    source TEXT NOT NULL,               -- teacher, minority, self, fixed, perturbed, peer
    iteration INTEGER NOT NULL,         -- whose weights wrote it; 0: the teacher
    slot INTEGER NOT NULL,
    text_id INTEGER NOT NULL REFERENCES texts(id),
    answer TEXT,
    rule TEXT NOT NULL,
    PRIMARY KEY (run_id, example, number)  -- an example's rationales lie together: they are always read together
) WITHOUT ROWID;
CREATE UNIQUE INDEX rationales_number ON rationales (run_id, number);
CREATE TABLE visits (                   -- followed questions: every visit of every rationale
    run_id INTEGER NOT NULL REFERENCES runs(id),
    example TEXT NOT NULL,
    step INTEGER NOT NULL,
    number INTEGER NOT NULL,
    iteration INTEGER NOT NULL,
    quality REAL,                       -- null: the method has no discriminator
    cross_entropy REAL NOT NULL,
    weight REAL NOT NULL,               -- factor in the explain term: s or beta (1 - s); 0: not chosen or silent
    chosen INTEGER NOT NULL,
    active INTEGER NOT NULL,            -- 0: the hinge silenced it
    PRIMARY KEY (run_id, example, step, number)
) WITHOUT ROWID;
CREATE TABLE last_visits (              -- every question: the last visit of every rationale
    run_id INTEGER NOT NULL REFERENCES runs(id),
    number INTEGER NOT NULL,
    example TEXT NOT NULL,
    step INTEGER NOT NULL,
    iteration INTEGER NOT NULL,
    quality REAL,
    cross_entropy REAL NOT NULL,
    weight REAL NOT NULL,
    chosen INTEGER NOT NULL,
    active INTEGER NOT NULL,
    PRIMARY KEY (run_id, example, number)
) WITHOUT ROWID;

CREATE TABLE predictions (              -- what the student answered at each evaluation
    run_id INTEGER NOT NULL REFERENCES runs(id),
    split TEXT NOT NULL,                -- followed, validation, test, unseen
    example TEXT NOT NULL,
    head TEXT NOT NULL CHECK (head IN ('predict', 'explain')),
    step INTEGER NOT NULL,
    text_id INTEGER NOT NULL REFERENCES texts(id),
    answer TEXT,
    correct INTEGER,                    -- null where there is nothing to compare with
    PRIMARY KEY (run_id, split, example, head, step)
) WITHOUT ROWID;
CREATE TABLE scores (                   -- accuracies with their 95 % interval
    run_id INTEGER NOT NULL REFERENCES runs(id),
    split TEXT NOT NULL,                -- train, validation, test, unseen
    who TEXT NOT NULL,                  -- student, untrained, majority class, teacher sample, teacher vote
    head TEXT NOT NULL,                 -- predict, explain; '' where there is none
    step INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    total INTEGER NOT NULL,
    accuracy REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    PRIMARY KEY (run_id, split, who, head, step)
) WITHOUT ROWID;
CREATE TABLE facts (                    -- what stages counted: misses by rule, ties, cut questions, AUC by source, ...
    run_id INTEGER NOT NULL REFERENCES runs(id),
    stage TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (run_id, stage, name)
) WITHOUT ROWID;
"""

GROUP_TABLES = """
CREATE TABLE run_groups (               -- runs made by one command: every method with every seed
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,          -- of all its specs: the same command goes on with the same group
    created_at REAL NOT NULL,
    pid INTEGER,                        -- the queue that works on it, or did last
    host TEXT,
    heartbeat_at REAL,
    stop INTEGER NOT NULL DEFAULT 0,    -- 1: asked to end after checkpoints
    ended_at REAL                       -- when its queue ended; null while it works or when it was killed
);
CREATE TABLE group_runs (
    group_id INTEGER NOT NULL REFERENCES run_groups(id),
    position INTEGER NOT NULL,          -- the order in which they are run
    run_id INTEGER NOT NULL UNIQUE REFERENCES runs(id),
    PRIMARY KEY (group_id, position)
) WITHOUT ROWID;
CREATE TABLE sampled_answers (          -- evaluation.samples answers to each question of a test split
    run_id INTEGER NOT NULL REFERENCES runs(id),
    split TEXT NOT NULL,
    example TEXT NOT NULL,
    head TEXT NOT NULL CHECK (head IN ('predict', 'explain')),
    step INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    correct INTEGER NOT NULL,           -- how many of them are right
    majority INTEGER NOT NULL,          -- 1: the commonest answer is right
    PRIMARY KEY (run_id, split, example, head, step)
) WITHOUT ROWID;
ALTER TABLE stages ADD COLUMN seconds REAL NOT NULL DEFAULT 0;  -- worked on by all processes, up to the last change
"""

REASONS = """
ALTER TABLE rationales ADD COLUMN reason TEXT;  -- of a dropped one: see docs/schema.md; else null
"""

MARK_TABLES = """
CREATE TABLE run_marks (                -- what people say of a run, beside it; no row: nothing
    run_id INTEGER PRIMARY KEY REFERENCES runs(id),
    star INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0,    -- 1: lists leave the run out unless it is asked for
    note TEXT NOT NULL DEFAULT '',
    change INTEGER NOT NULL             -- greater than that of any change before it: what a reader has not seen
);
CREATE UNIQUE INDEX run_marks_change ON run_marks (change);
CREATE TABLE run_tags (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    tag TEXT NOT NULL,
    PRIMARY KEY (run_id, tag)
) WITHOUT ROWID;
CREATE INDEX runs_status ON runs (status);  -- a list of very many reads again those alone that can have changed
CREATE INDEX runs_ended ON runs (ended_at);
"""

RATIONALE_NOTES = """
CREATE TABLE rationale_notes (          -- what a person remarked on a rationale, or on a question
    run_id INTEGER NOT NULL REFERENCES runs(id),
    example TEXT NOT NULL,
    number INTEGER NOT NULL,            -- the rationale's; -1: the question itself
    flagged INTEGER NOT NULL,
    note TEXT,
    at REAL NOT NULL,
    PRIMARY KEY (run_id, example, number)
) WITHOUT ROWID;
"""

TEXT_WORDS = """
CREATE VIRTUAL TABLE text_words USING fts5(  -- full-text index over texts; holds no text itself
    text, content = 'texts', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0'
);
CREATE TRIGGER texts_indexed AFTER INSERT ON texts BEGIN
    INSERT INTO text_words (rowid, text) VALUES (new.id, new.text);
END;
CREATE INDEX rationales_text ON rationales (run_id, text_id);
INSERT INTO text_words (text_words) VALUES ('rebuild');  -- of what is there already
"""

STEPS = {
    "0001_first_schema": FIRST_TABLES,
    "0002_groups": GROUP_TABLES,
    "0003_ledger": LEDGER_TABLES,
    "0004_reasons": REASONS,
    "0005_reasoning": REASONING_TABLES,
    "0006_imports": IMPORT_TABLES,
    "0007_batches": BATCH_TABLES,
    "0008_claims": CLAIM_TABLES,
    "0009_marks": MARK_TABLES,
    "0010_rationale_notes": RATIONALE_NOTES,
    "0011_text_words": TEXT_WORDS,
    "0012_messages": MESSAGE_TABLES,
    "0013_messages_apart": MESSAGES_APART,
    "0014_spending": SPENDING_TABLES,
    "0015_evaluations": EVALUATION_TABLES,
}
"""From an empty file to the present schema, by the name that a database remembers. One that has been released is never
edited: add another, and raise SCHEMA_VERSION."""
TABLES = "".join(STEPS.values())

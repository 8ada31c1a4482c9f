"""The tables of `qcrd evaluate`: answers sampled of a run's student, and what judges say of them."""

EVALUATION_TABLES = """
CREATE TABLE evaluations (              -- one way to draw answers of a run's student; the same command goes on with it
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    split TEXT NOT NULL,
    head TEXT NOT NULL CHECK (head IN ('predict', 'explain')),
    step INTEGER NOT NULL,              -- of the student's checkpoint; -1: the exported student
    temperature REAL NOT NULL,
    seed INTEGER NOT NULL,
    questions INTEGER NOT NULL,         -- asked for last: the split's first ones
    samples INTEGER NOT NULL,           -- of each, asked for last
    created_at REAL NOT NULL,
    UNIQUE (run_id, split, head, step, temperature, seed)
);
CREATE TABLE drawn_answers (            -- sample `number` (from 0) of a question
    evaluation_id INTEGER NOT NULL REFERENCES evaluations(id),
    example TEXT NOT NULL,
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,          -- the question's place in its split
    text_id INTEGER NOT NULL REFERENCES texts(id),
    answer TEXT,                        -- null where none was found: it does not vote
    cluster INTEGER,                    -- the number of the first sample with an equal answer; null without an answer
    correct INTEGER,                    -- null where the question has no gold answer
    PRIMARY KEY (evaluation_id, example, number)
) WITHOUT ROWID;
CREATE TABLE drawn_scores (             -- a judge's score of a drawn answer
    evaluation_id INTEGER NOT NULL REFERENCES evaluations(id),
    judge INTEGER NOT NULL REFERENCES runs(id),  -- the run that the ranking model or discriminator is of
    judge_step INTEGER NOT NULL,
    example TEXT NOT NULL,
    number INTEGER NOT NULL,
    score REAL,                         -- in [0, 1]; null: over-long, it takes the mean of its question's others
    PRIMARY KEY (evaluation_id, judge, judge_step, example, number)
) WITHOUT ROWID;
"""

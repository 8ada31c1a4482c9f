"""The tables of the teachers' ledger, as SQL: what was asked, what came back, what it cost; part of `tables.py`."""

LEDGER_TABLES = """
CREATE TABLE requests (                 -- slots of one question that are bought together; written before it is sent
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    purpose TEXT NOT NULL,              -- sample; judge
    example TEXT NOT NULL,
    model TEXT NOT NULL,
    asked BLOB NOT NULL,                -- a sample's key but for its slot: model, messages, settings
    slots TEXT NOT NULL,                -- JSON list of their numbers
    state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'done', 'failed', 'in_doubt')),
    input_tokens INTEGER,               -- estimated
    greatest_usd REAL,                  -- greatest possible cost of one try; null: the price is unknown
    created_at REAL NOT NULL
);
CREATE INDEX requests_run ON requests (run_id, state);
ALTER TABLE attempts ADD COLUMN request_id INTEGER REFERENCES requests(id);
ALTER TABLE attempts ADD COLUMN greatest_usd REAL;
ALTER TABLE attempts ADD COLUMN greatest_tokens INTEGER;  -- input and output
ALTER TABLE attempts ADD COLUMN billed INTEGER;  -- 1: answered, 0: refused or never seen; null: nobody can tell
CREATE INDEX attempts_request ON attempts (request_id);
CREATE TABLE responses (                -- what came back, whole, before anything read it
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt_id INTEGER NOT NULL UNIQUE REFERENCES attempts(id),
    received_at REAL NOT NULL,
    model TEXT,                         -- as the provider named it
    provider_id TEXT,                   -- the provider's own id of it
    input_tokens INTEGER,               -- these three as billed; null where the provider did not say
    output_tokens INTEGER,
    reasoning_tokens INTEGER,           -- of output_tokens
    price_usd REAL,                     -- null: unknown
    raw BLOB                            -- the answer as JSON, zlib; null: of an older version of qcrd
);
ALTER TABLE samples ADD COLUMN response_id INTEGER REFERENCES responses(id);  -- null: recorded outputs, not bought
CREATE INDEX samples_response ON samples (response_id);
INSERT INTO responses (attempt_id, received_at, input_tokens, output_tokens)
SELECT a.id, coalesce(a.ended_at, a.sent_at), sum(s.input_tokens), sum(s.output_tokens)
FROM attempts a JOIN samples s ON s.attempt_id = a.id GROUP BY a.id;
UPDATE samples SET response_id = (SELECT r.id FROM responses r WHERE r.attempt_id = samples.attempt_id);
UPDATE attempts SET billed = CASE state WHEN 'done' THEN 1 WHEN 'failed' THEN
    CASE WHEN error = 'the worker ended before the answer came' THEN NULL ELSE 0 END END;
"""

REASONING_TABLES = """
ALTER TABLE samples ADD COLUMN reasoning_id INTEGER REFERENCES texts(id);  -- hidden reasoning, apart from the answer
"""

IMPORT_TABLES = """
CREATE TABLE imports (                  -- a file of recorded outputs that samples were taken from
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file TEXT NOT NULL,                 -- as it was named
    hash TEXT NOT NULL,                 -- SHA-256 of its bytes
    layout TEXT NOT NULL,               -- qcrd, distilabel, openai-batch
    created_at REAL NOT NULL,
    UNIQUE (hash, file, layout)
);
CREATE TABLE imported_samples (
    sample_id INTEGER PRIMARY KEY REFERENCES samples(id),
    import_id INTEGER NOT NULL REFERENCES imports(id),
    line INTEGER NOT NULL,              -- of the file, or the row of a Parquet file, from 1
    model TEXT                          -- as the file names it; null: it does not
);
CREATE INDEX imported_samples_import ON imported_samples (import_id);
"""

BATCH_TABLES = """
CREATE TABLE batches (                  -- jobs of a provider's batch API; written before anything is sent
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id),
    tag TEXT NOT NULL UNIQUE,           -- ours, in the metadata of the provider's batch: how it is found again
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('written', 'uploaded', 'submitted', 'ended')),
    provider_id TEXT,                   -- these four as the provider names them
    input_file TEXT,
    output_file TEXT,
    error_file TEXT,
    status TEXT,                        -- as the provider last said: validating, in_progress, completed, expired, ...
    lines INTEGER NOT NULL,             -- requests in it
    lines_done INTEGER NOT NULL DEFAULT 0,    -- these two as the provider counts
    lines_failed INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    tried_at REAL,                      -- when its submission was last sent, answered or not
    submitted_at REAL,
    ended_at REAL,                      -- when all of its lines were settled
    error TEXT                          -- one line: why the provider refused it
);
CREATE INDEX batches_run ON batches (run_id, state);
ALTER TABLE attempts ADD COLUMN batch_id INTEGER REFERENCES batches(id);  -- null: a request of its own
CREATE INDEX attempts_batch ON attempts (batch_id) WHERE batch_id IS NOT NULL;
"""

CLAIM_TABLES = """
CREATE TABLE claims (                   -- what a run is buying now: another that needs it waits for it
    run_id INTEGER NOT NULL REFERENCES runs(id),
    asked BLOB NOT NULL,                -- as in requests
    PRIMARY KEY (run_id, asked)
) WITHOUT ROWID;
"""

MESSAGE_TABLES = """
ALTER TABLE requests ADD COLUMN turns_id INTEGER REFERENCES texts(id);  -- JSON list of all messages but the last
ALTER TABLE requests ADD COLUMN message_id INTEGER REFERENCES texts(id);  -- the last one's text; null: not kept then
"""

MESSAGES_APART = """
CREATE TABLE messages (                 -- what was sent to teachers, each text once; texts are searched
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,          -- as in texts
    text TEXT NOT NULL
);
INSERT INTO messages (id, hash, text) SELECT id, hash, text FROM texts
WHERE id IN (SELECT turns_id FROM requests UNION SELECT message_id FROM requests);
CREATE TABLE only_sent (id INTEGER PRIMARY KEY);  -- of texts that nothing else uses
INSERT INTO only_sent SELECT id FROM messages
EXCEPT SELECT text_id FROM samples
EXCEPT SELECT reasoning_id FROM samples
EXCEPT SELECT text_id FROM rationales
EXCEPT SELECT text_id FROM predictions;
INSERT INTO text_words (text_words, rowid, text) SELECT 'delete', id, text FROM texts WHERE id IN only_sent;
DELETE FROM texts WHERE id IN only_sent;
DROP TABLE only_sent;
ALTER TABLE requests RENAME COLUMN turns_id TO old_turns_id;
ALTER TABLE requests RENAME COLUMN message_id TO old_message_id;
ALTER TABLE requests ADD COLUMN turns_id INTEGER REFERENCES messages(id);  -- JSON list of all messages but the last
ALTER TABLE requests ADD COLUMN message_id INTEGER REFERENCES messages(id);  -- the last one's text; null: not kept then
UPDATE requests SET turns_id = old_turns_id, message_id = old_message_id WHERE old_message_id IS NOT NULL;
ALTER TABLE requests DROP COLUMN old_turns_id;
ALTER TABLE requests DROP COLUMN old_message_id;
"""

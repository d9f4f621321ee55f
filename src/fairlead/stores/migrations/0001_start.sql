-- One row a call.  `outcome` is NULL while it is open.  Money is nano-USD, times are nanoseconds.
CREATE TABLE calls (
    id TEXT PRIMARY KEY NOT NULL,
    segment TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
    duration_ns INTEGER,
    first_token_ns INTEGER,
    dialect TEXT NOT NULL,
    alias TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT,
    key_name TEXT,
    user TEXT,
    team TEXT,
    provider TEXT,
    status INTEGER,
    outcome TEXT,
    error_class TEXT,
    error_code TEXT,
    error_message TEXT,
    usage TEXT,
    usage_source TEXT,
    cost_nanousd INTEGER,
    spent_nanousd INTEGER NOT NULL DEFAULT 0,
    parent_id TEXT,
    tags TEXT,
    session TEXT,
    degraded TEXT
) STRICT;
CREATE INDEX calls_by_time ON calls (started_at_ns, id);
CREATE INDEX calls_by_key ON calls (key_id, started_at_ns, spent_nanousd) WHERE key_id IS NOT NULL;
CREATE INDEX calls_by_user ON calls (user, started_at_ns, spent_nanousd) WHERE user IS NOT NULL;
CREATE INDEX calls_by_team ON calls (team, started_at_ns, spent_nanousd) WHERE team IS NOT NULL;
CREATE INDEX calls_by_alias ON calls (alias, started_at_ns, spent_nanousd);
CREATE INDEX calls_open ON calls (segment) WHERE outcome IS NULL;

-- Apart from `calls`, so that sums never read bodies.
CREATE TABLE contents (
    call_id TEXT PRIMARY KEY NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    request BLOB,
    response BLOB
) STRICT;

CREATE TABLE attempts (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    provider TEXT NOT NULL,
    credential TEXT NOT NULL,
    model TEXT NOT NULL,
    label TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    first_token_ns INTEGER,
    ended_ns INTEGER,
    status INTEGER,
    upstream_id TEXT,
    error_class TEXT,
    error_code TEXT,
    usage TEXT,
    usage_source TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reserved_nanousd INTEGER,
    cost_nanousd INTEGER,
    PRIMARY KEY (call_id, number)
) STRICT, WITHOUT ROWID;

-- How far each spool segment has been read.
CREATE TABLE segments (
    name TEXT PRIMARY KEY NOT NULL,
    offset INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    metric TEXT NOT NULL,
    labels TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (metric, labels)
) STRICT, WITHOUT ROWID;

CREATE TABLE gauges (
    worker TEXT PRIMARY KEY NOT NULL,
    at_ns INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id TEXT PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    hash_id TEXT NOT NULL,
    user TEXT,
    team TEXT,
    models TEXT,
    limits TEXT,
    trusts_user_header INTEGER NOT NULL,
    created_at_ns INTEGER NOT NULL,
    expires_at_ns INTEGER,
    revoked_at_ns INTEGER
) STRICT;

CREATE TABLE scope_limits (
    scope TEXT PRIMARY KEY NOT NULL,
    limits TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row; its value moves with every change to `keys` and `scope_limits`.
CREATE TABLE generation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (id, value) VALUES (1, 0);

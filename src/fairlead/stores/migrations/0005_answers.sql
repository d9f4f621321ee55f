-- Answers that a provider keeps: whose they are, and under which credential they lie.
CREATE TABLE answers (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    credential TEXT NOT NULL,
    model TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_at ON answers (at_ns);

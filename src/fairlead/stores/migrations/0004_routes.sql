-- What operators say about targets, and the log of who said what.
CREATE TABLE overrides (
    target TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    until_ns INTEGER
) STRICT;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

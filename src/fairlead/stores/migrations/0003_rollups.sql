-- A call is one row, written once it is over; one that is under way waits in `open_calls`.  Totals by the hour stand in
-- `rollups`, so that usage and budgets neither read all calls nor forget those that were deleted.
ALTER TABLE calls RENAME TO old_calls;
DROP INDEX calls_by_time;
DROP INDEX calls_by_key;
DROP INDEX calls_by_user;
DROP INDEX calls_by_team;
DROP INDEX calls_by_alias;
DROP INDEX calls_open;

-- Bodies stand last: long ones then lie on pages of their own, which nobody reads who does not ask for them.
CREATE TABLE calls (
    id TEXT NOT NULL UNIQUE,
    started_at_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
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
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error_class TEXT,
    error_code TEXT,
    error_message TEXT,
    usage TEXT,
    usage_source TEXT,
    cost_nanousd INTEGER,
    spent_nanousd INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    is_unpriced INTEGER NOT NULL,
    parent_id TEXT,
    tags TEXT,
    session TEXT,
    degraded TEXT,
    attempts TEXT NOT NULL,
    request BLOB,
    response BLOB
) STRICT;
CREATE INDEX calls_by_time ON calls (started_at_ns);

CREATE TABLE open_calls (
    id TEXT PRIMARY KEY NOT NULL,
    segment TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
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
    reserved_nanousd INTEGER,
    parent_id TEXT,
    request BLOB
) STRICT;

-- `kind` is what `name` names: key, user, team, alias, outcome, provider or model.  `hour` counts from the epoch.
CREATE TABLE rollups (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    hour INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL,
    spent_nanousd INTEGER NOT NULL,
    unpriced_calls INTEGER NOT NULL,
    PRIMARY KEY (kind, name, hour)
) STRICT, WITHOUT ROWID;

INSERT INTO calls
SELECT id, started_at_ns, coalesce(duration_ns, 0), first_token_ns, dialect, alias, model, stream, tenant, key_id,
    key_name, user, team, provider, coalesce(status, 500), outcome, error_class, error_code, error_message, usage,
    usage_source, cost_nanousd, spent_nanousd,
    coalesce((SELECT sum(input_tokens) FROM attempts WHERE call_id = id), 0),
    coalesce((SELECT sum(output_tokens) FROM attempts WHERE call_id = id), 0),
    EXISTS (SELECT 1 FROM attempts WHERE call_id = id AND attempts.cost_nanousd IS NULL),
    parent_id, tags, session, degraded,
    (SELECT json_group_array(json_object(
        'number', number, 'provider', provider, 'credential', credential, 'model', model, 'label', label,
        'started_ns', started_ns, 'first_token_ns', first_token_ns, 'ended_ns', ended_ns, 'status', status,
        'upstream_id', upstream_id, 'error_class', error_class, 'error_code', error_code, 'usage', json(usage),
        'usage_source', usage_source, 'reserved_nanousd', reserved_nanousd, 'cost_nanousd', cost_nanousd))
     FROM (SELECT * FROM attempts WHERE attempts.call_id = old_calls.id ORDER BY attempts.number)),
    contents.request, contents.response
FROM old_calls LEFT JOIN contents ON contents.call_id = old_calls.id
WHERE outcome IS NOT NULL
ORDER BY started_at_ns, id;

INSERT INTO open_calls
SELECT id, segment, started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team, provider,
    reserved_nanousd, parent_id, contents.request
FROM old_calls LEFT JOIN contents ON contents.call_id = old_calls.id
WHERE outcome IS NULL;

INSERT INTO rollups
SELECT kind, name, started_at_ns / 3600000000000, count(*), sum(outcome NOT IN ('ok', 'cancelled')), sum(input_tokens),
    sum(output_tokens), sum(iif(outcome = 'crashed', 0, spent_nanousd)), sum(spent_nanousd), sum(is_unpriced)
FROM (
    SELECT 'key' AS kind, coalesce(key_id, '') AS name, * FROM calls
    UNION ALL SELECT 'user', coalesce(user, ''), * FROM calls
    UNION ALL SELECT 'team', coalesce(team, ''), * FROM calls
    UNION ALL SELECT 'alias', alias, * FROM calls
    UNION ALL SELECT 'outcome', outcome, * FROM calls
)
GROUP BY 1, 2, 3;

-- An attempt counts where it went.
INSERT INTO rollups
SELECT kind, name, started_at_ns / 3600000000000, count(DISTINCT id),
    count(DISTINCT iif(error_class <> 'cancelled' OR number IS NULL AND outcome NOT IN ('ok', 'cancelled'), id, NULL)),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cost_nanousd), 0),
    coalesce(sum(cost_nanousd), 0), count(DISTINCT iif(number IS NOT NULL AND cost_nanousd IS NULL, id, NULL))
FROM (
    SELECT 'provider' AS kind, coalesce(attempts.provider, '') AS name, old_calls.id, started_at_ns, outcome, attempts.*
    FROM old_calls LEFT JOIN attempts ON attempts.call_id = old_calls.id WHERE outcome IS NOT NULL
    UNION ALL
    SELECT 'model', coalesce(attempts.model, ''), old_calls.id, started_at_ns, outcome, attempts.*
    FROM old_calls LEFT JOIN attempts ON attempts.call_id = old_calls.id WHERE outcome IS NOT NULL
)
GROUP BY 1, 2, 3;

DROP TABLE contents;
DROP TABLE attempts;
DROP TABLE old_calls;

-- The last one to be finished stays here until the next: its file may come to be read once more.
ALTER TABLE segments ADD COLUMN is_finished INTEGER NOT NULL DEFAULT 0;

CREATE VIEW all_calls AS
SELECT id, started_at_ns, duration_ns, first_token_ns, dialect, alias, model, stream, tenant, key_id, key_name, user,
    team, provider, status, outcome, error_class, error_code, error_message, usage, usage_source, cost_nanousd,
    parent_id, tags, session, degraded, attempts, request, response
FROM calls
UNION ALL
SELECT id, started_at_ns, NULL, NULL, dialect, alias, model, stream, tenant, key_id, key_name, user, team, provider,
    NULL, 'open', NULL, NULL, NULL, NULL, NULL, NULL, parent_id, NULL, NULL, NULL, '[]', request, NULL
FROM open_calls;

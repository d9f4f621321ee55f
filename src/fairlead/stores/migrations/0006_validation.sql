-- How the answer was held to its schema, as JSON; NULL where it was not.  The output that was refused is a content.
ALTER TABLE calls ADD COLUMN validated TEXT;
ALTER TABLE calls ADD COLUMN refused BLOB;
-- Questions about verdicts look at no other call.
CREATE INDEX calls_validated ON calls (started_at_ns) WHERE validated IS NOT NULL;

DROP VIEW all_calls;
CREATE VIEW all_calls AS
SELECT id, started_at_ns, duration_ns, first_token_ns, dialect, alias, model, stream, tenant, key_id, key_name, user,
    team, provider, status, outcome, error_class, error_code, error_message, usage, usage_source, cost_nanousd,
    parent_id, tags, session, degraded, attempts, request, response, validated, refused
FROM calls
UNION ALL
SELECT id, started_at_ns, NULL, NULL, dialect, alias, model, stream, tenant, key_id, key_name, user, team, provider,
    NULL, 'open', NULL, NULL, NULL, NULL, NULL, NULL, parent_id, NULL, NULL, NULL, '[]', request, NULL, NULL, NULL
FROM open_calls;

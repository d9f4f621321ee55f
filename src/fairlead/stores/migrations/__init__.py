"""The schema of the SQLite store, as numbered steps; each runs once, in one transaction."""

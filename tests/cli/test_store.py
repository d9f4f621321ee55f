from __future__ import annotations


def test_status_of_nothing_makes_nothing(answer, folder):
    """It says that there is no database yet."""
    status = answer("store", "status")
    assert (status["schema_version"], status["calls"], status["size_bytes"]) == (None, None, 0)
    assert list(folder.iterdir()) == []


def test_migrate_makes_the_database(answer):
    """With the schema of this version."""
    assert answer("store", "migrate")["schema_version"] >= 1


def test_status_counts_calls_and_sizes(run, answer):
    """After a call of the library nothing waits in the spool."""
    run("chat", "hello")
    status = answer("store", "status")
    assert (status["calls"], status["spool_segments"]) == (1, 0)
    assert status["size_bytes"] > 0


def test_status_of_a_database_that_was_never_migrated(answer, folder):
    """Version 0, and no calls are counted."""
    (folder / "fairlead.db").touch(mode=0o600)
    status = answer("store", "status")
    assert (status["schema_version"], status["calls"]) == (0, None)


def test_ingest_says_what_it_moved(answer, run):
    """Nothing, where nothing waits."""
    run("chat", "hello")
    assert answer("store", "ingest") == {
        "ended_calls": 0,
        "backlog_bytes": 0,
        "torn_segments": 0,
        "skipped_bytes": 0,
        "rejected_records": 0,
    }


def test_people_get_lines(run):
    """A fact a line."""
    assert "not made yet" in run("store", "status").stdout

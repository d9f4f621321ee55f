from __future__ import annotations

import json

import pytest

from fairlead.cli.logs import Follower, has_failed, line
from fairlead.ports import LogQuery

SECOND_NS = 1_000_000_000


@pytest.fixture
def calls(run):
    """Two calls of the library, oldest first."""
    return [json.loads(run("chat", text, "--json").stdout)["call_id"] for text in ("about apples", "about pears")]


def _records(stdout):
    return [json.loads(each) for each in stdout.splitlines()]


def test_a_record_a_line_newest_first(run, calls):
    """Each line is JSON and has the call's id."""
    records = _records(run("logs", "--since", "1h", "--json").stdout)
    assert [record["call_id"] for record in records] == list(reversed(calls))


def test_people_read_oldest_first(run, calls):
    """The newest stands at the bottom, where the prompt is."""
    lines = run("logs").stdout.splitlines()
    assert [each.split()[-1] for each in lines] == calls


def test_limit(run, calls):
    """The newest so many."""
    assert [record["call_id"] for record in _records(run("logs", "--limit", "1", "--json").stdout)] == calls[1:]


def test_search_is_a_plain_substring(run, calls):
    """In requests and answers; no wildcards."""
    assert [each["call_id"] for each in _records(run("logs", "search", "apples", "--json").stdout)] == calls[:1]
    assert run("logs", "search", "a%s", "--json").stdout == ""


def test_show_has_everything(run, answer, calls):
    """Contents and attempts too."""
    record = answer("logs", "show", calls[0])
    assert "about apples" in record["request"]
    assert record["attempts"][0]["provider"] == "sim"
    shown = run("logs", "show", calls[0]).stdout
    assert "about apples" in shown
    assert "sim-small" in shown


@pytest.mark.parametrize(
    "arguments", [["show"], ["search"], ["tail", "x"], ["nix"], ["erase"], ["--user", "u"], ["--limit", "0"]]
)
def test_wrong_usage(run, arguments):
    """Said before anything is read."""
    run("logs", *arguments, code=2)


def test_an_unknown_call_is_a_failure(run, calls):
    """With the id that was asked for."""
    assert "no call 'nix'" in run("logs", "show", "nix", code=1).stderr


def test_erase_is_not_there_yet(run):
    """It says so."""
    assert "not yet in this version" in run("logs", "erase", "--user", "ana", code=1).stderr


def test_before_the_first_call(run, folder):
    """Nothing on stdout, no file made."""
    assert run("logs", "--json").stdout == ""
    assert list(folder.iterdir()) == []


def _row(call_id, started_s, outcome="ok"):
    return {"call_id": call_id, "started_at_ns": started_s * SECOND_NS, "outcome": outcome}


class _Logs:
    """A `LogStore` of rows."""

    def __init__(self):
        self.rows = []

    async def calls(self, query):
        found = [row for row in self.rows if row["started_at_ns"] >= (query.since_ns or 0)]
        return sorted(found, key=lambda row: -row["started_at_ns"])[: query.limit]


async def _follow(steps):
    """The ids told at each second, given the rows that stand there then."""
    logs = _Logs()
    follower = Follower(logs)
    follower.begin([], 100 * SECOND_NS)
    told = []
    for second, rows in steps:
        logs.rows = rows
        told.append([row["call_id"] for row in await follower.following(second * SECOND_NS)])
    return told


async def test_a_followed_call_is_told_once_after_it_ended():
    """However long it was open, and whatever ended meanwhile."""
    a_open, a, b = _row("a", 101, "open"), _row("a", 101), _row("b", 102)
    steps = [(102, [a_open]), (103, [a_open, b]), (150, [a_open, b]), (151, [a, b]), (200, [a, b]), (201, [a, b])]
    assert await _follow(steps) == [[], ["b"], [], ["a"], [], []]


async def test_a_call_that_comes_late_from_another_worker_is_told():
    """Although a younger one was told before."""
    early, late = _row("early", 101), _row("late", 102)
    assert await _follow([(102, [late]), (103, [early, late]), (104, [early, late])]) == [["late"], ["early"], []]


class _Matching(_Logs):
    """A `LogStore` that also knows what failed."""

    async def calls(self, query):
        found = [row for row in self.rows if query.failed in (None, row["error_class"])]
        return sorted(found, key=lambda row: -row["started_at_ns"])[: query.limit]


def _failing(call_id, started_s, error_class, outcome="error"):
    return {**_row(call_id, started_s, outcome), "error_class": error_class}


async def test_a_follower_of_failures_begins_with_the_last_of_them():
    """However many other calls came since, and each once."""
    logs = _Matching()
    logs.rows = [
        _failing("old", 1, "timeout"),
        *(_failing(f"n{second}", second, None, "ok") for second in range(2, 20)),
    ]
    logs.rows.append(_failing("new", 20, "timeout"))
    query = LogQuery(failed="timeout", limit=10)
    assert [row["call_id"] for row in await Follower(logs).start(query, 100 * SECOND_NS)] == ["old", "new"]


async def test_a_follower_of_failures_watches_calls_that_have_not_failed_yet():
    """A call that was open for long is told when it fails."""
    logs = _Matching()
    logs.rows = [_failing("a", 100, None, "open")]
    follower = Follower(logs)
    assert await follower.start(LogQuery(failed="timeout", limit=10), 101 * SECOND_NS) == []
    logs.rows = [_failing("a", 100, "timeout"), _failing("b", 150, None, "ok")]
    assert [row["call_id"] for row in await follower.following(200 * SECOND_NS)] == ["a", "b"]


@pytest.mark.parametrize(
    ("failed", "row", "is_told"),
    [
        (None, {"error_class": None}, True),
        ("timeout", {"error_class": "timeout"}, True),
        ("timeout", {"error_class": None}, False),
        ("validation", {"error_class": "validation", "validated": None}, True),
        ("validation", {"error_class": None, "validated": {"fits": True, "errors": [{}]}}, True),
        ("validation", {"error_class": None, "validated": {"fits": True, "errors": []}}, False),
        ("timeout", {"error_class": None, "validated": {"fits": True, "errors": [{}]}}, False),
    ],
)
def test_what_is_followed_is_what_is_listed(failed, row, is_told):
    """By the class of its error, or by an output that was refused."""
    assert has_failed(row, failed) is is_told


ENDED = {
    **_row("id", 1),
    "started_at": "2026-01-01T00:00:00Z",
    "duration_ns": 5,
    "status": 200,
    "alias": "a",
    "model": "m",
    "cost_usd": None,
    "usage": None,
    "key_name": None,
    "error_message": None,
    "attempts": [],
}


def test_a_refused_call_has_neither_tokens_nor_cost():
    """Nothing was sent, so nothing is unknown."""
    assert "-  -" in line({**ENDED, "outcome": "error"})
    assert "unknown" not in line({**ENDED, "outcome": "error"})


@pytest.mark.parametrize("known", [{"attempts": [{"number": 1}]}, {"outcome": "crashed"}])
def test_what_was_sent_and_not_counted_is_unknown(known):
    """Never a dash, which would read as nothing."""
    assert "tokens unknown  cost unknown" in line({**ENDED, **known})


def test_show_reads_a_stream_to_people(run, calls, answer):
    """Joined text and seconds; machines get what is stored."""
    call_id = json.loads(run("chat", "tell me", "--json").stdout)["call_id"]
    record = answer("logs", "show", call_id)
    shown = run("logs", "show", call_id).stdout
    assert record["stream"]
    assert record["response"].startswith("data: ")
    assert isinstance(record["duration_ns"], int)
    assert "data: " not in shown
    assert "simulated answer" in shown.partition("\nresponse\n")[2]
    assert "_ns" not in shown


def test_a_line_cannot_be_forged():
    """A caller's line feeds and escape sequences do not reach the terminal."""
    row = {**ENDED, "alias": "", "model": "m\n2026 forged\x1b[2J", "cost_usd": "0.5"}
    assert "\n" not in line(row)
    assert "\x1b" not in line(row)

"""What is wrong with an answer, beside the answer."""

from __future__ import annotations

import json

import pytest
from rich.console import Console
from tests.cli.records import fill

from fairlead.cli.verdicts import SIDE_BY_SIDE, details, heading, is_refused, verdict

ERROR = {"path": "/age", "message": "`two` is not a whole number", "kind": "type"}
EDIT = {"rung": "coerce", "kind": "number_words", "path": "/n", "before": '"two"', "after": "2", "confidence": 0.95}
VALIDATED = {
    "schema": "Booking",
    "rung": "coerce",
    "fits": False,
    "edits": [EDIT],
    "errors": [ERROR],
    "reasks": 0,
    "reask_tokens": 0,
    "reask_usd": "0",
    "lost": [],
    "further_edits": 0,
    "further_errors": 0,
}
ROW = {"call_id": "id", "validated": VALIDATED, "refused": '{"age": "two"}'}


def shown(row, width):
    out = Console(width=width or 200)
    with out.capture() as captured:
        out.print(verdict(row, width), soft_wrap=False)
    return captured.get().splitlines()


def test_errors_and_output_stand_beside_each_other_where_there_is_room():
    """On one line of a wide terminal."""
    assert any("/age: " in each and '{"age": "two"}' in each for each in shown(ROW, SIDE_BY_SIDE))


@pytest.mark.parametrize("width", [40, SIDE_BY_SIDE - 1, None])
def test_elsewhere_the_output_stands_below_the_errors(width):
    """Each on lines of its own, in pipes too, and all of them set in."""
    lines = shown(ROW, width)
    (errors,) = [number for number, each in enumerate(lines) if "/age: " in each]
    (output,) = [number for number, each in enumerate(lines) if '{"age": "two"}' in each]
    assert errors < output
    assert all(each.startswith("  ") for each in lines)


@pytest.mark.parametrize("width", [40, 200, None])
def test_an_output_steers_no_terminal_and_forges_no_line(width):
    """It is cleaned, set in however it is broken, and clipped."""
    row = {**ROW, "refused": "\x1b[2J\x1b]0;title\x07forged \u202eline\n" + "x" * 5_000}
    lines = shown(row, width)
    assert "\x1b[2J" not in "".join(lines)
    assert "\u202e" not in "".join(lines)
    assert all(each.startswith("  ") for each in lines)
    assert "".join(lines).count("x") < 700
    assert "fairlead logs show id" in " ".join(each.strip() for each in lines)


def test_an_error_cannot_forge_a_line():
    """Its message is on one line, whatever it quotes."""
    forged = {**ERROR, "message": "it is \x1b[31m`a\n2026-01-01  ok`"}
    lines = shown({**ROW, "validated": {**VALIDATED, "errors": [forged]}}, 200)
    assert "2026-01-01 ok" in "".join(lines)
    assert not any(each.strip().startswith("2026") for each in lines)


def test_without_stored_contents_the_kind_says_what_was_wrong():
    """And that there is no output to show."""
    row = {**ROW, "validated": {**VALIDATED, "errors": [{**ERROR, "message": ""}]}, "refused": None}
    text = " ".join(shown(row, 200))
    assert "/age: type" in text
    assert "not stored" in text


@pytest.mark.parametrize(
    ("fits", "errors", "said"),
    [(False, [ERROR], "failed"), (True, [ERROR], "refused first, then mended"), (True, [], "fits")],
)
def test_a_heading_says_how_it_ended(fits, errors, said):
    """What failed, what was mended by asking again, what was right at once."""
    validated = {**VALIDATED, "fits": fits, "errors": errors}
    assert heading(validated) == f"schema Booking  rung coerce  {said}"
    assert is_refused({"validated": validated}) is bool(errors)


def test_a_call_that_had_nothing_to_fit_was_not_refused():
    """It has no verdict."""
    assert not is_refused({"validated": None})


def test_a_heading_says_what_asking_again_took():
    """Times, tokens, money."""
    validated = {**VALIDATED, "reasks": 2, "reask_tokens": 340, "reask_usd": "0.0012"}
    assert heading(validated).endswith("2 re-asks, 340 tokens, 0.0012 USD")


def test_details_tell_each_change_and_what_was_left_out():
    """Before and after, and how sure it is."""
    edits = [EDIT, {**EDIT, "kind": "dropped", "path": "", "after": None}, {**EDIT, "before": None, "after": None}]
    told = details({**VALIDATED, "edits": edits, "lost": ["maxItems"], "further_edits": 3, "further_errors": 1_000})
    assert [text for name, text in told if name == "edit"] == [
        'coerce number_words /n: "two" -> 2 (0.95)',
        'coerce dropped the answer: "two" -> nothing (0.95)',
        "coerce number_words /n (0.95)",
        "and 3 more",
    ]
    assert [text for name, text in told if name == "refused for"] == [
        "/age: `two` is not a whole number",
        "and 1,000 more",
    ]
    assert ("not enforced", "maxItems") in told


# --- in the commands ---


def ids(stdout):
    return [json.loads(each)["call_id"] for each in stdout.splitlines()]


@pytest.mark.parametrize(("failed", "found"), [("validation", ["b", "a"]), ("timeout", ["d"]), ("network", [])])
def test_failed_lists_the_calls_of_one_class(run, folder, failed, found):
    """Of `validation` those too that were mended."""
    fill(folder)
    assert ids(run("logs", "--failed", failed, "--json").stdout) == found
    assert ids(run("logs", "search", "said", "--failed", failed, "--json").stdout) == [
        each for each in found if each != "a"
    ]


def test_people_see_the_refused_output_with_its_verdict(run, folder):
    """Under the line of its call, which nothing in the output can forge."""
    fill(folder)
    lines = run("logs", "--failed", "validation").stdout.splitlines()
    starts = [number for number, each in enumerate(lines) if not each.startswith(" ")]
    assert len(starts) == 2
    first = "\n".join(lines[: starts[1]])
    assert "schema Booking  rung coerce  failed" in first
    assert "/guests/3/age: `two` is not a whole number" in first
    assert '{"guests": [{"age": "two"}]}' in first
    assert "refused first, then mended  2 re-asks, 340 tokens, 0.0012 USD" in "\n".join(lines[starts[1] :])


def test_another_class_has_lines_alone(run, folder):
    """Nothing was refused there."""
    fill(folder)
    assert len(run("logs", "--failed", "timeout").stdout.splitlines()) == 1


def test_show_tells_the_verdict_and_the_output(run, answer, folder):
    """To people in words, to machines as it is stored."""
    fill(folder)
    text = run("logs", "show", "b").stdout
    assert 'coerce number_words /seats: "two" -> 2 (0.95)' in text
    assert "2 re-asks, 340 tokens, 0.0012 USD" in text
    assert '{"guests": [{"age": "two"}]}' in text.partition("\nrefused\n")[2]
    assert "\x1b" not in text
    record = answer("logs", "show", "b")
    assert record["validated"]["edits"][0]["after"] == "2"
    assert record["validated"]["reask_usd"] == "0.0012"
    assert record["refused"].startswith('{"guests"')
    assert "validated" not in run("logs", "show", "d").stdout


@pytest.mark.parametrize("arguments", [["--failed", "colour"], ["show", "a", "--failed", "timeout"]])
def test_wrong_words_after_failed_are_wrong_usage(run, arguments):
    """And `show` shows one call, whatever became of it."""
    run("logs", *arguments, code=2)

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.record import AttemptRecord, Ended, Identity
from fairlead.telemetry.metrics import BUCKETS_S, CALL_DURATION, FIRST_TOKEN, OUTPUT_TOKEN, count
from fairlead.types import Usage
from fairlead.verdict import FieldError, Validated

MS = 1_000_000
WHO = (("provider", "p"), ("model", "m"))


def attempt(**rest: Any) -> AttemptRecord:
    fields: dict[str, Any] = {"cost_nanousd": 0, "started_ns": 0}
    return AttemptRecord(
        number=1, provider="p", credential="secret-label", model="caller's words", label="m", **(fields | rest)
    )


def ended(*attempts: AttemptRecord, **rest: Any) -> Ended:
    fields: dict[str, Any] = {"alias": "a", "duration_ns": 40 * MS, "outcome": "ok", "status": 200}
    return Ended(
        call_id="c",
        started_at_ns=0,
        dialect="openai_chat",
        model="caller's words",
        stream=False,
        identity=Identity(tenant="local"),
        attempts=attempts,
        **(fields | rest),
    )


def counted(record: Ended) -> dict[tuple[str, tuple[tuple[str, str], ...]], int]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for metric, labels, delta in count([record]):
        found[metric, labels] = found.get((metric, labels), 0) + delta
    return found


def test_a_call_counts_once_by_alias_dialect_and_outcome() -> None:
    """Every ended call is one call."""
    labels = (("alias", "a"), ("dialect", "openai_chat"), ("outcome", "ok"))
    assert counted(ended())["fairlead_calls_total", labels] == 1


def test_a_call_without_an_alias_has_a_fixed_label() -> None:
    """A call that was refused before it was resolved does not count under a caller's words."""
    found = counted(ended(alias="", outcome="error", error_class="caller"))
    assert found["fairlead_errors_total", (("class", "caller"), ("alias", "none"))] == 1


def test_an_answer_that_is_less_than_asked_for_counts_by_how() -> None:
    """Though the call ended well."""
    found = counted(ended(degraded=("fallback",)))
    assert found["fairlead_degraded_calls_total", (("alias", "a"), ("how", "fallback"))] == 1


def test_time_in_line_is_not_the_providers() -> None:
    """It has a histogram of its own, and those who did not wait are not in it."""
    found = counted(ended(attempt(waited_ns=800 * MS, first_token_ns=900 * MS), attempt(first_token_ns=MS)))
    assert found["fairlead_time_to_first_token_seconds_sum", WHO] == 101 * MS
    assert found["fairlead_wait_seconds_sum", WHO] == 800 * MS
    assert found["fairlead_wait_seconds_count", WHO] == 1


def test_attempts_count_by_outcome() -> None:
    """A fallback is two attempts, one of them with its error's class."""
    found = counted(ended(attempt(error_class="timeout"), attempt()))
    assert found["fairlead_attempts_total", (*WHO, ("outcome", "timeout"))] == 1
    assert found["fairlead_attempts_total", (*WHO, ("outcome", "ok"))] == 1


def test_tokens_count_in_their_buckets() -> None:
    """Each bucket of the usage is its own series; empty ones make none."""
    found = counted(ended(attempt(usage=Usage(input_tokens=3, reasoning_tokens=9))))
    tokens = {labels[-1][1]: value for (metric, labels), value in found.items() if metric == "fairlead_tokens_total"}
    assert tokens == {"input": 3, "reasoning": 9}


def test_money_counts_in_nano_usd() -> None:
    """Known costs are summed as integers, unknown ones are counted, known zeros are neither."""
    found = counted(ended(attempt(cost_nanousd=7), attempt(cost_nanousd=None), attempt(cost_nanousd=0)))
    assert found["fairlead_cost_usd_total", WHO] == 7
    assert found["fairlead_unpriced_attempts_total", WHO] == 1


HELD = (("alias", "a"), ("schema", "Booking"))


def held(**rest: Any) -> Ended:
    return ended(validated=Validated(schema="caller's word", label="Booking", **rest))


def test_answers_count_by_schema_rung_and_outcome() -> None:
    """A validation that failed is a class of its own, under the schema's configured name."""
    for fits, outcome in ((True, "ok"), (False, "failed")):
        found = counted(held(rung="coerce", fits=fits))
        assert found["fairlead_validations_total", (*HELD, ("rung", "coerce"), ("outcome", outcome))] == 1


def test_asking_again_counts_in_times_tokens_and_money() -> None:
    """Where nothing was asked again there is no series."""
    found = counted(held(rung="reask", reasks=2, reask_tokens=340, reask_nanousd=1_200_000))
    assert found["fairlead_reasks_total", HELD] == 2
    assert found["fairlead_reask_tokens_total", HELD] == 340
    assert found["fairlead_reask_cost_usd_total", HELD] == 1_200_000
    assert not any("reask" in metric for metric, _ in counted(held()))


def test_field_errors_count_by_kind() -> None:
    """Kinds are of a closed set, and paths, which a caller or a model can invent, are no labels."""
    kinds = ("type", "required", "type", "a model's word")
    found = counted(held(errors=tuple(FieldError(path="/secret", message="m", kind=kind) for kind in kinds)))
    errors = {
        labels[-1][1]: value for (metric, labels), value in found.items() if metric.endswith("field_errors_total")
    }
    assert errors == {"type": 2, "required": 1, "other": 1}
    assert "/secret" not in {value for _, labels in found for _, value in labels}


def test_a_call_that_had_nothing_to_fit_moves_no_counter_of_validation() -> None:
    """It has no verdict."""
    assert not any("valid" in metric for metric, _ in counted(ended()))


def test_durations_fall_into_the_first_bucket_that_holds_them() -> None:
    """A bucket's bound belongs to it."""
    for duration_ns, le in ((0, "0.05"), (50 * MS, "0.05"), (50 * MS + 1, "0.1"), (10**13, "+Inf")):
        found = counted(ended(duration_ns=duration_ns))
        assert found[f"{CALL_DURATION}_bucket", (("alias", "a"), ("le", le))] == 1
        assert found[f"{CALL_DURATION}_sum", (("alias", "a"),)] == duration_ns
        assert found[f"{CALL_DURATION}_count", (("alias", "a"),)] == 1


def test_first_token_is_measured_from_the_attempt() -> None:
    """Earlier attempts do not count as waiting for this one's first token."""
    found = counted(ended(attempt(started_ns=500 * MS, first_token_ns=520 * MS)))
    assert found[f"{FIRST_TOKEN}_sum", WHO] == 20 * MS


def test_time_between_tokens_leaves_the_first_out() -> None:
    """Eleven tokens have ten gaps; a single token has none."""
    times = {"first_token_ns": 100 * MS, "ended_ns": 200 * MS}
    found = counted(ended(attempt(usage=Usage(output_tokens=11), **times)))
    assert found[f"{OUTPUT_TOKEN}_sum", WHO] == 10 * MS
    assert (f"{OUTPUT_TOKEN}_sum", WHO) not in counted(ended(attempt(usage=Usage(output_tokens=1), **times)))


def test_a_crash_has_no_duration() -> None:
    """A call whose end nobody saw is counted, not timed."""
    found = counted(ended(outcome="crashed", error_class="internal", duration_ns=0))
    assert {metric for metric, _ in found} == {"fairlead_calls_total", "fairlead_errors_total"}


@given(st.text(), st.text())
def test_no_label_carries_a_callers_words(model: str, key_name: str) -> None:
    """Model names as sent, key names, users and credentials never become labels."""
    marked = f"<<{model}>>", f"<<{key_name}>>"
    record = Ended(
        call_id="c",
        started_at_ns=0,
        duration_ns=1,
        dialect="openai_chat",
        alias="*",
        model=marked[0],
        stream=True,
        identity=Identity(tenant=marked[1], key_name=marked[1], user=marked[1], team=marked[1]),
        status=200,
        outcome="error",
        error_class="provider",
        error_code=marked[0],
        error_message=marked[0],
        session=marked[1],
        tags=marked,
        validated=Validated(
            schema=marked[0],
            fits=False,
            errors=(FieldError(path=marked[0], message=marked[1], kind=marked[0]),),
            output=marked[0].encode("utf-8", "replace"),
        ),
        attempts=(
            AttemptRecord(
                number=1, provider="p", credential=marked[1], model=marked[0], started_ns=0, upstream_id=marked[0]
            ),
        ),
    )
    values = {value for _, labels, _ in count([record]) for _, value in labels}
    assert not values & set(marked)


def test_bounds_ascend() -> None:
    """Buckets are in order, each once."""
    for bounds in BUCKETS_S.values():
        assert list(bounds) == sorted(set(bounds))

"""resolve: from a name to candidates."""

from __future__ import annotations

import pytest

from fairlead.errors import Forbidden, ModelNotFound
from fairlead.stages.resolve import Resolve
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Principal


async def test_an_alias_stands_for_its_targets() -> None:
    """The provider is asked for its own model name, not for the alias."""
    bench = Bench(aliases={"fast": [candidate("gpt-4o-mini-2024")]})

    await bench.ask("fast")

    assert bench.transport.requests[0].json["model"] == "gpt-4o-mini-2024"
    assert bench.sink.ended[0].alias == "fast"


async def test_an_unknown_model_names_the_nearest() -> None:
    """A typing mistake is answered with the name that was probably meant."""
    bench = Bench(aliases={"gpt-4o-mini": [candidate()]})

    with pytest.raises(ModelNotFound, match="did you mean 'gpt-4o-mini'"):
        await bench.ask("gpt-4o-mni")


async def test_a_star_relays_any_other_name_under_a_label_of_its_own() -> None:
    """What `"*"` relays is labelled `*`, never with the caller's free text."""
    bench = Bench(stages={"resolve": Resolve({}, lambda name: (candidate(name, label="other"),))})

    await bench.ask("some-new-model")

    (ended,) = bench.sink.ended
    assert (ended.alias, ended.attempts[0].label, ended.model) == ("*", "other", "some-new-model")


async def test_a_key_may_call_its_own_models_only() -> None:
    """A principal with a list of models is refused any other, existing or not, with the same error."""
    bench = Bench(aliases={"a": [candidate()], "b": [candidate()]}, principal=Principal(models=frozenset({"a"})))

    await bench.ask("a")
    for name in ("b", "no-such-model"):
        with pytest.raises(Forbidden, match="may not call"):
            await bench.ask(name)

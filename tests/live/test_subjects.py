"""Which vendors are asked."""

from __future__ import annotations

import pytest
from live.features import FEATURES
from live.subjects import load, present, variables

from fairlead.providers import facts

VENDORS = facts.load().vendors


def test_those_whose_key_is_set_are_asked() -> None:
    """An empty variable is no key."""
    found = present(VENDORS, load(), {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "MISTRAL_API_KEY": ""})

    assert [each.name for each in found] == ["openai", "groq"]


def test_one_may_be_wanted() -> None:
    """Others are left alone, though their keys are set."""
    found = present(VENDORS, load(), {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}, ["groq"])

    assert [each.name for each in found] == ["groq"]


@pytest.mark.parametrize(
    ("wanted", "says"), [("openia", "no vendor 'openia' to ask; there are "), ("openai", "set `OPENAI_API_KEY`")]
)
def test_one_that_cannot_be_asked_cannot_be_wanted(wanted: str, says: str) -> None:
    """The message says why, and what to do."""
    with pytest.raises(ValueError, match=says):
        present(VENDORS, load(), {}, [wanted])


def test_the_table_names_features_that_there_are() -> None:
    """What a model lacks is a feature."""
    lacking = frozenset[str]().union(*(row.lacks for row in load().values()))

    assert lacking <= {feature.name for feature in FEATURES}


@pytest.mark.parametrize("name", sorted(VENDORS.keys() & load().keys()))
def test_the_models_of_the_table_have_prices(name: str) -> None:
    """Without one a hard budget refuses every call."""
    from fairlead.providers import prices

    vendor, models = VENDORS[name].prices, load()[name]

    assert vendor is not None
    assert prices.load().find(vendor, models.chat) is not None
    assert models.embeddings is None or prices.load().find(vendor, models.embeddings) is not None


def test_the_variables_are_told() -> None:
    """Whoever has set none learns which there are."""
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"} <= set(variables(VENDORS, load()))

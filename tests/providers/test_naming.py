"""Which provider an error is about."""

from __future__ import annotations

import pytest

from fairlead.errors import FairleadError, UpstreamAuth, UpstreamProtocol, UpstreamRateLimited, UpstreamRejected
from fairlead.providers.naming import name_provider


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            UpstreamRateLimited("The provider limits the rate of calls at present."),
            "Provider 'up' limits the rate of calls at present.",
        ),
        (UpstreamProtocol("The provider's answer is not JSON."), "The answer of provider 'up' is not JSON."),
        (
            UpstreamAuth("The provider refused the credential that this gateway uses."),
            (
                "provider 'up' refused the credential that this gateway uses; "
                "whoever runs it has to look at `[providers.up]`"
            ),
        ),
    ],
)
def test_an_error_of_a_provider_names_it(error: FairleadError, told: str) -> None:
    """Once, however often it is passed on."""
    name_provider(error, "up")
    name_provider(error, "up")

    assert (error.message, str(error)) == (told, told)


def test_what_a_provider_says_of_a_request_stays_as_it_is() -> None:
    """These are its own words."""
    error = UpstreamRejected("The provider knows no such field.")

    name_provider(error, "up")

    assert error.message == "The provider knows no such field."


def test_the_rest_of_an_error_is_kept() -> None:
    """Its detail for our own log, its status and how long to wait."""
    error = UpstreamAuth("The provider refused.", detail="said the provider", retry_after_s=1.0)

    name_provider(error, "up")

    assert (error.detail, error.status, error.retry_after_s) == ("said the provider", 502, 1.0)

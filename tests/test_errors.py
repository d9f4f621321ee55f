"""What errors say of themselves."""

from __future__ import annotations

from fairlead.errors import OutputInvalid
from fairlead.verdict import FieldError


def wrong(path: str) -> FieldError:
    return FieldError(path=path, message="is wrong")


def test_an_answer_that_does_not_fit_names_the_fields():
    """The whole is called that: `/` would be the property without a name (RFC 6901)."""
    error = OutputInvalid.of("Booking", [wrong(""), wrong("/"), wrong("/guests/0")])
    assert error.message == (
        "the answer does not fit schema 'Booking': the answer: is wrong; `/`: is wrong; `/guests/0`: is wrong"
    )


def test_of_many_fields_the_first_few_are_named():
    """All of them stand in `errors`."""
    error = OutputInvalid.of("Booking", [wrong(f"/{number}") for number in range(10)], tries=1)
    assert error.message.startswith("the answer does not fit schema 'Booking' after 1 more try: `/0`: is wrong; ")
    assert error.message.endswith(" more")
    assert len(error.errors) == 10

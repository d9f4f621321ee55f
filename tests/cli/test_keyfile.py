from __future__ import annotations

import pytest

FILE = """
[keys.app]
budget = "5usd/month"
rpm = 60
models = ["sim-small"]
user = "ana"

[users.ana]
budget = "1usd/day"

[teams."search team"]
tpm = 1000
"""


@pytest.fixture
def file(folder):
    path = folder / "keys.toml"
    path.write_text(FILE)
    return path


def test_applying_makes_what_is_not_there(answer, file):
    """New keys are shown, this once."""
    changes = answer("keys", "apply", str(file))["changes"]
    assert [(each["what"], each["kind"], each["name"]) for each in changes] == [
        ("changed", "user", "ana"),
        ("changed", "team", "search team"),
        ("created", "key", "app"),
    ]
    assert changes[2]["key"].startswith("fl-")


def test_applying_again_changes_nothing(answer, file):
    """Idempotent: the same key stays the same key."""
    answer("keys", "apply", str(file))
    before = answer("keys", "list")
    assert answer("keys", "apply", str(file)) == {"changes": []}
    assert answer("keys", "list") == before


def test_applying_changes_only_what_moved(answer, file):
    """And says what moved; the secret stays."""
    answer("keys", "apply", str(file))
    file.write_text(FILE.replace("rpm = 60", "rpm = 70").replace('"1usd/day"', '"2usd/day"'))
    changes = answer("keys", "apply", str(file))["changes"]
    assert [(each["name"], each["detail"]) for each in changes] == [("ana", "budget"), ("app", "rpm")]
    assert all("key" not in each for each in changes)
    assert answer("keys", "list")[0]["rpm"] == 70


def test_what_the_file_does_not_name_stays(answer, file):
    """No key is revoked by leaving it out."""
    answer("keys", "create", "--name", "other")
    answer("keys", "apply", str(file))
    assert {row["name"]: row["status"] for row in answer("keys", "list")} == {"other": "active", "app": "active"}


def test_an_empty_table_clears_limits(answer, file):
    """`[users.ana]` with nothing in it takes ana's limits away."""
    answer("keys", "apply", str(file))
    file.write_text("[users.ana]\n")
    assert answer("keys", "apply", str(file))["changes"][0]["detail"] == "budget"
    assert answer("keys", "apply", str(file)) == {"changes": []}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[keys.a]\nbuget = '1usd'\n", 2, "did you mean `budget`?"),
        ("[key.a]\n", 1, "did you mean `keys`?"),
        ("[keys.a]\n[keys.b]\nbudget = 'much'\n", 2, "is not a budget"),
        ("[users.'a:b']\n", 1, "cannot be a user"),
        ("[keys.a]\nrpm = 0\n", 2, "`keys.a.rpm`"),
        ("[keys.a\n", 1, "not TOML"),
    ],
)
def test_a_bad_file_is_told_with_its_line_and_changes_nothing(run, folder, text, line, reason):
    """Unknown keys are errors."""
    (folder / "bad.toml").write_text(text)
    stderr = run("keys", "apply", "bad.toml", code=1).stderr
    assert stderr.startswith((f"fairlead: bad.toml:{line}: ", "fairlead: bad.toml: this is not TOML"))
    assert reason in stderr
    assert sorted(path.name for path in folder.iterdir()) == ["bad.toml"]

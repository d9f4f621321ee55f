from __future__ import annotations

import sys

from fairlead.config.build import ORDER


def test_it_names_every_stage_with_its_reason(answer):
    """In the order in which they run."""
    stages = answer("check")["stages"]
    assert tuple(stage["stage"] for stage in stages) == ORDER
    assert all(stage["because"] for stage in stages)


def test_open_mode_authorizes_nobody(answer, folder):
    """The stage is off in open mode and on with keys."""
    on = {stage["stage"]: stage["on"] for stage in answer("check")["stages"]}
    assert (on["authorize"], on["budget"], on["cache"]) == (False, True, False)
    (folder / "fairlead.toml").write_text('[gateway]\nauth = "keys"\n')
    on = {stage["stage"]: stage["on"] for stage in answer("check")["stages"]}
    assert on["authorize"] is True


def test_stored_answers_belong_to_somebody_where_a_provider_keeps_them(answer, folder):
    """The stage is there for a provider that speaks Responses, and names it."""
    told = {stage["stage"]: stage for stage in answer("check")["stages"]}
    assert (told["own"]["on"], told["own"]["because"]) == (False, "no provider keeps answers")
    (folder / "fairlead.toml").write_text('[providers.keeper]\nvendor = "openai"\napi_key = "env:PATH"\n')
    told = {stage["stage"]: stage for stage in answer("check")["stages"]}
    assert (told["own"]["on"], told["own"]["because"]) == (True, "answers are kept by keeper")


def test_it_leaves_no_trace(run, folder):
    """No store is made, no secret is written."""
    run("check")
    assert list(folder.iterdir()) == []


def test_a_bad_file_is_told_with_its_line(run, folder):
    """Exit code 1, one line a problem."""
    (folder / "fairlead.toml").write_text('[gateway]\nprot = 1\n[models.a]\ntargets = ["nix/b"]\n')
    stderr = run("check", code=1).stderr.splitlines()
    assert stderr[0].endswith("fairlead.toml:2: `gateway.prot` is not a setting; did you mean `port`?")
    (folder / "fairlead.toml").write_text('[models.a]\ntargets = ["nix/b"]\n')
    assert "fairlead.toml:2: no provider 'nix'" in run("check", code=1).stderr


def test_the_state_is_told_with_its_degraded_modes(answer, folder):
    """Where limits are counted, who shares them, and what happens while that is down."""
    assert answer("check")["state"] == {"url": "memory:", "shared_by": "one process", "degraded": []}
    (folder / "fairlead.toml").write_text('[state]\nurl = "redis://cache:6379/0"\n')
    told = answer("check")["state"]
    assert (told["url"], told["shared_by"]) == ("redis://cache:6379/0", "all machines")
    assert [each["feature"] for each in told["degraded"]] == ["rate limits", "hard budgets"]


def test_a_missing_secret_fails_and_names_the_variable(run, folder):
    """Everything else is still printed."""
    (folder / "fairlead.toml").write_text('[providers.openai]\nvendor = "openai"\napi_key = "env:OPENAI_API_KEY"\n')
    result = run("check", code=1)
    assert "Stages" in result.stdout
    assert result.stderr.startswith("fairlead: ")
    assert "fairlead.toml:3: `providers.openai`: the environment variable `OPENAI_API_KEY` is not set" in result.stderr


def test_a_state_that_cannot_be_opened_fails(run, folder, monkeypatch):
    """Its URL is not in the environment, or the client of the server is not installed."""
    (folder / "fairlead.toml").write_text('[state]\nurl = "env:REDIS_URL"\n')
    assert "`REDIS_URL` is not set" in run("check", code=1).stderr
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    run("check")
    monkeypatch.setitem(sys.modules, "redis", None)
    assert "pip install '.[gateway,redis]'" in run("check", code=1).stderr


def test_secrets_are_looked_at_and_not_shown(run, folder, monkeypatch):
    """Their references stand in the output, never their values."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123456")
    for arguments in (["check"], ["check", "--json"]):
        output = run(*arguments).output
        assert "env:OPENAI_API_KEY" in output
        assert "canary" not in output


def test_unpriced_models_are_told(run, folder):
    """A model without a price is `unpriced`, not free."""
    (folder / "fairlead.toml").write_text(
        '[providers.own]\nvendor = "vllm"\n[models.llama]\ntargets = ["own/llama-nobody-knows"]\n'
    )
    assert "unpriced" in run("check").stdout


def test_one_name_is_one_name(answer, folder):
    """Counts are written as people say them."""
    (folder / "fairlead.toml").write_text('[models.a]\ntargets = ["sim/sim-small"]\n')
    because = {stage["stage"]: stage["because"] for stage in answer("check")["stages"]}
    assert because["resolve"] == "always; 1 name under [models]"


def test_tables_leave_no_blanks_at_the_ends_of_lines(run):
    """What is piped has nothing that nobody sees."""
    lines = run("check").stdout.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []


def test_degraded_modes_are_told(answer):
    """What each feature does while the store is down."""
    assert [row["feature"] for row in answer("check")["degraded"]] == ["rate limits", "hard budgets", "keys", "records"]


def test_whether_helicones_headers_are_read(run, answer, folder):
    """Only where the file says so."""
    assert answer("check")["gateway"]["helicone_headers"] is False
    (folder / "fairlead.toml").write_text("[gateway]\nhelicone_headers = true\n")
    assert answer("check")["gateway"]["helicone_headers"] is True
    assert "Helicone" in run("check").stdout

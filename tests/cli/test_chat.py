from __future__ import annotations

import asyncio
import json

import pytest

from fairlead.cli.chat import Conversation, converse
from fairlead.client import Client
from fairlead.config.load import load_text
from fairlead.testing import openai_stream

SIM = load_text('[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n')


def test_an_answer_and_what_it_took(run):
    """The text, then one line with model, tokens, cost and time to the first token."""
    text, summary = run("chat", "hello").stdout.rstrip("\n").split("\n")
    assert text.startswith("This is a simulated answer")
    assert "sim/sim-small" in summary
    assert "tokens" in summary
    assert "USD" in summary
    assert "first token after" in summary


def test_whole_answers_and_streams_cost_the_same(run):
    """`--no-stream` changes when it is seen, not what it is."""
    streamed, whole = (
        json.loads(run("chat", "hello", "--model", "sim-large", *extra, "--json").stdout)
        for extra in ([], ["--no-stream"])
    )
    assert streamed["text"] == whole["text"]
    assert streamed["cost_usd"] == whole["cost_usd"] is not None


def test_a_static_reply_is_no_models(run, folder):
    """The summary names no target that did not answer."""
    (folder / "fairlead.toml").write_text(
        '[providers.down]\nvendor = "sim"\nerror_rate = 1.0\n'
        '[models.m]\ntargets = ["down/sim-small"]\ndegraded = [{ static = "Sorry." }]\n'
    )
    for extra in ([], ["--no-stream"]):
        assert json.loads(run("chat", "hello", *extra, "--json").stdout)["model"] == "static"


def test_parameters_reach_the_model(run):
    """The longest answer is as long as was asked for."""
    assert json.loads(run("chat", "hello", "--max-tokens", "3", "--json").stdout)["output_tokens"] == 3


def test_a_question_on_standard_input(run):
    """As in `fairlead chat < question.txt`."""
    assert "simulated" in run("chat", stdin="what is this?\n").stdout
    run("chat", stdin="", code=2)


def test_a_gateway_that_is_not_there_is_a_failure(run):
    """One line; nothing on stdout."""
    result = run("chat", "x", "--model", "m", "--gateway", "http://127.0.0.1:9", code=1)
    assert result.stderr.startswith("fairlead: ")
    assert result.stdout == ""


def test_a_gateways_key_comes_from_the_environment(run):
    """Never from the command line; an empty variable is told."""
    result = run("chat", "x", "-m", "m", "--gateway", "http://127.0.0.1:9", "--key-env", "NO_SUCH_KEY", code=1)
    assert "`NO_SUCH_KEY` is not set" in result.stderr


async def test_what_a_model_says_cannot_steer_the_terminal(fake_upstream):
    """Escape sequences are taken out, also where they are cut in two, and stay in the conversation as they were."""
    fake_upstream.then(openai_stream(["safe \x1b[", "31mred\x1b]0;ti", "tle\x07 end\r"]))
    config = load_text(
        f"""
[gateway]
auth = "open"
[providers.up]
dialect = "openai"
base_url = "{fake_upstream.base_url}"
allow_private = true
[store]
content = "off"
[models.m]
targets = ["up/gpt-4o-mini"]
"""
    )
    shown = []
    async with Client(config=config) as client:
        talk = Conversation(client=client, model="m")
        answer = await talk.ask("hi", shown.append)
    assert "".join(shown) == "safe red end"
    assert answer.text == "safe \x1b[31mred\x1b]0;title\x07 end\r"


def test_a_conversation_remembers(folder, capsys):
    """Each turn carries the ones before; a failed one is told and does not end it."""
    questions = iter(["first", "", "second"])

    def ask(_prompt):
        try:
            return next(questions)
        except StopIteration:
            raise EOFError from None

    with asyncio.Runner() as runner:
        client = Client(config=SIM, root=folder)
        talk = Conversation(client=client, model="m", parameters={"max_tokens": 4})
        converse(runner, talk, ask, json=False)
        talk.model = "nix"
        questions = iter(["third"])
        converse(runner, talk, ask, json=False)
        runner.run(client.aclose())
    assert [turn["role"] for turn in talk.messages] == ["user", "assistant"] * 2
    assert "no model 'nix'" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["x", "--gateway", "http://127.0.0.1:9"], ["x", "--key-env", "A"]])
def test_wrong_usage(run, arguments):
    """A gateway needs the model's name, a key needs a gateway."""
    run("chat", *arguments, code=2)


def test_without_any_model_it_says_what_to_add(run, folder):
    """An empty configuration is told as one."""
    (folder / "fairlead.toml").write_text("[gateway]\n")
    assert "no model is configured; add one to" in run("chat", "hello", code=1).stderr

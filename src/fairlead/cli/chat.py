"""`fairlead chat`: one question, or a conversation, in the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings
from fairlead.cli.terminal import CleanStream, clean, console, emit, one_line
from fairlead.errors import ConfigError, FairleadError

if TYPE_CHECKING:
    from fairlead.client import Client

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one turn; `None` is unknown."""

    text: str
    model: str
    call_id: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None
    first_token_s: float | None


@dataclass(slots=True, kw_only=True)
class Conversation:
    """Turns with one model; remembers what was said."""

    client: Client
    model: str
    is_streamed: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, str]] = field(default_factory=list)

    async def ask(self, question: str, show: Show) -> Answer:
        """The model's answer to one more turn; what it says goes to `show` as it comes, cleaned.

        Raises:
            FairleadError: the call failed; the turn is forgotten.
        """
        turns = [*self.messages, {"role": "user", "content": question}]
        answer = await (self._streamed(turns, show) if self.is_streamed else self._whole(turns, show))
        self.messages = [*turns, {"role": "assistant", "content": answer.text}]
        return answer

    async def _streamed(self, turns: list[dict[str, str]], show: Show) -> Answer:
        from fairlead.stores.system import SystemClock

        clock, cleaner = SystemClock(), CleanStream()
        started_ns, first_ns = clock.monotonic_ns(), None
        parts: list[str] = []
        async with self.client.stream(turns, model=self.model, **self.parameters) as stream:
            async for piece in stream:
                if piece.text:
                    first_ns = clock.monotonic_ns() if first_ns is None else first_ns
                    parts.append(piece.text)
                    show(cleaner.feed(piece.text))
        show(cleaner.end())
        call = stream.call
        return Answer(
            text="".join(parts),
            model=call.answered_by,
            call_id=call.id,
            **_spent(call.attempt.usage, call.cost_nanousd),
            first_token_s=None if first_ns is None else (first_ns - started_ns) / 1e9,
        )

    async def _whole(self, turns: list[dict[str, str]], show: Show) -> Answer:
        done = await self.client.complete(turns, model=self.model, **self.parameters)
        show(clean(done.text))
        spent = _spent(done.usage, done.cost_nanousd)
        return Answer(text=done.text, model=done.model, call_id=done.call_id, **spent, first_token_s=None)


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="The question; without it a conversation, or what standard input holds.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="A model of the configuration; the first one.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask a running gateway, such as http://127.0.0.1:8400.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable that holds the key for the gateway.")
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="Instructions for the model.")] = None,
    temperature: Annotated[float | None, typer.Option(metavar="T", min=0, help="Sampling temperature.")] = None,
    top_p: Annotated[float | None, typer.Option(metavar="P", min=0, max=1, help="Nucleus sampling.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", min=1, help="The longest answer, in tokens.")] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Wait for the whole answer.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a model and print its answer as it comes."""
    settings = find_settings(config)
    given = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
        if not prompt:
            raise typer.BadParameter("no question; give it as the argument or on standard input")
    with asyncio.Runner() as runner:
        client = _client(settings, gateway, key_env)
        talk = Conversation(
            client=client,
            model=model or _first_model(settings, gateway),
            is_streamed=not no_stream,
            parameters={name: value for name, value in given.items() if value is not None},
            messages=[] if system is None else [{"role": "system", "content": system}],
        )
        try:
            if prompt is not None:
                _answer(runner, talk, prompt, json=json)
            else:
                converse(runner, talk, input, json=json)
        finally:
            runner.run(client.aclose())


def converse(runner: asyncio.Runner, talk: Conversation, ask: Callable[[str], str], *, json: bool) -> None:
    """Question after question until the end of input; a failed one does not end the conversation."""
    while True:
        try:
            question = ask("> ").strip()
        except EOFError:
            console().print()
            return
        if not question:
            continue
        try:
            _answer(runner, talk, question, json=json)
        except FairleadError as error:
            console().print(one_line(error.message), style="red")


def _answer(runner: asyncio.Runner, talk: Conversation, question: str, *, json: bool) -> None:
    if json:
        answer = runner.run(talk.ask(question, lambda _: None))
        emit({name: getattr(answer, name) for name in Answer.__slots__})
        return
    answer = runner.run(talk.ask(question, _write))
    out = console()
    out.print()
    out.print(summary(answer), style="dim")


def summary(answer: Answer) -> str:
    """The line under an answer."""
    parts = [one_line(answer.model)]
    if answer.input_tokens is not None:
        parts.append(f"{answer.input_tokens} + {answer.output_tokens} tokens")
    parts.append("cost unknown" if answer.cost_usd is None else f"{answer.cost_usd} USD")
    if answer.first_token_s is not None:
        parts.append(f"first token after {answer.first_token_s:.2f} s")
    return " · ".join(parts)


def _spent(usage: Any, cost_nanousd: int | None) -> dict[str, Any]:
    from fairlead.core.money import format_usd

    return {
        "input_tokens": None if usage is None else usage.all_input_tokens,
        "output_tokens": None if usage is None else usage.all_output_tokens,
        "cost_usd": None if cost_nanousd is None else format_usd(cost_nanousd),
    }


def _client(settings: Settings, gateway: str | None, key_env: str | None) -> Client:
    from fairlead.client import Client

    if gateway is None:
        if key_env is not None:
            raise typer.BadParameter("--key-env goes with --gateway")
        return Client(config=settings.config, root=settings.root)
    if key_env is not None and not os.environ.get(key_env):
        raise ConfigError(f"the environment variable `{key_env}` is not set; put the key for the gateway there")
    return Client(gateway=gateway, key=None if key_env is None else os.environ[key_env])


def _first_model(settings: Settings, gateway: str | None) -> str:
    if gateway is None and not settings.config.models:
        raise ConfigError(
            f"no model is configured; add one to {settings.file}, such as [models.sim-small] targets = "
            '["sim/sim-small"]'
        )
    first = next((name for name in settings.config.models if name != "*"), None)
    if gateway is not None or first is None:
        raise typer.BadParameter("name the model with --model")
    return first


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

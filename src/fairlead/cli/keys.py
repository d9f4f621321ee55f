"""`fairlead keys`: virtual keys, straight in the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.cli.durations import duration_ns, written
from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings, is_store_made, opened_store
from fairlead.cli.terminal import cell, complain, console, emit, show_table
from fairlead.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from fairlead.ports import KeyStore, ScopeLimits, StoredKey

app = typer.Typer(
    help="Make, list, revoke and rotate the keys that callers use; `keys apply` changes the limits of those that are."
)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id or name, as `keys list` shows them.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="What the key is called in logs and metrics.")],
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT", help="The most it may cost, such as 10usd/day; minute, hour, day, week, month or total."
        ),
    ] = None,
    rpm: Annotated[int | None, typer.Option(metavar="N", min=1, help="Requests a minute.")] = None,
    tpm: Annotated[int | None, typer.Option(metavar="N", min=1, help="Tokens a minute.")] = None,
    concurrency: Annotated[int | None, typer.Option(metavar="N", min=1, help="Calls at one time.")] = None,
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="The models it may call, by alias; absent: all.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="U", help="The user whom it belongs to.")] = None,
    team: Annotated[str | None, typer.Option(metavar="T", help="The team that it belongs to.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="SPAN", help="How long it is good, such as 30d.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key and show it, once."""
    from fairlead.cli import keyring

    settings = find_settings(config)
    wish = keyring.Wish(
        name=name,
        budget=budget,
        rpm=rpm,
        tpm=tpm,
        concurrency=concurrency,
        models=None if models is None else tuple(part.strip() for part in models.split(",")),
        user=user,
        team=team,
    )
    lifetime_ns = None if expires is None else duration_ns(expires)
    try:
        wish.check()
    except InvalidRequest as error:
        raise typer.BadParameter(error.message) from None
    _warn_unknown_models(settings, wish.models)

    async def run() -> tuple[StoredKey, str]:
        async with opened_store(settings) as store:
            if wish.name in keyring.live(await store.keys.keys()):
                raise InvalidRequest(f"there is a key named {name!r} already; `keys rotate` it, or choose another name")
            return await keyring.make(store.keys, keyring.hashing_key(settings), wish, lifetime_ns=lifetime_ns)

    _show_new(*asyncio.run(run()), json=json)
    _note_unchecked(settings)


@app.command(name="list")
def list_keys(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List all keys, newest first."""
    settings = find_settings(config)

    async def run() -> list[StoredKey]:
        async with opened_store(settings) as store:
            return list(await store.keys.keys())

    rows = [described(key) for key in (asyncio.run(run()) if is_store_made(settings) else [])]
    if json:
        emit(rows)
    else:
        _show_all(rows)


@app.command()
def revoke(key: KeyArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Refuse a key from now on."""
    from msgspec.structs import replace

    settings = find_settings(config)

    async def run() -> tuple[StoredKey, bool]:
        from fairlead.stores.system import SystemClock

        async with opened_store(settings) as store:
            found = await _find(store.keys, key)
            if found.revoked_at_ns is not None:
                return found, False
            found = replace(found, revoked_at_ns=SystemClock().now_ns())
            await store.keys.save(found)
            return found, True

    found, is_new = asyncio.run(run())
    if json:
        emit(described(found))
    else:
        what = "Revoked" if is_new else "Nothing to do: already revoked"
        console().print(f"{what} {found.id} ({found.name}) at {written(found.revoked_at_ns)}.")


@app.command()
def rotate(key: KeyArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Give a key a new secret and show it, once."""
    from fairlead.cli import keyring

    settings = find_settings(config)

    async def run() -> tuple[StoredKey, str]:
        async with opened_store(settings) as store:
            found = await _find(store.keys, key)
            if found.revoked_at_ns is not None:
                raise InvalidRequest(f"the key {key!r} was revoked; make a new one with `keys create`")
            return await keyring.renew(store.keys, keyring.hashing_key(settings), found)

    _show_new(*asyncio.run(run()), json=json)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with [keys.NAME], [users.NAME], [teams.NAME].")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make keys, users and teams as a file says."""
    from fairlead.cli import keyfile, keyring

    settings = find_settings(config)
    wanted = keyfile.read(file)
    for wish in wanted.wishes:
        _warn_unknown_models(settings, wish.models)

    async def run() -> list[keyfile.Change]:
        async with opened_store(settings) as store:
            return await keyfile.apply(wanted, store, keyring.hashing_key(settings))

    changes = asyncio.run(run())
    if any(change.key is not None for change in changes):
        _note_unchecked(settings)
    if json:
        emit({"changes": [change.row() for change in changes]})
        return
    out = console()
    for change in changes:
        out.print(f"{change.what:<8} {change.kind} {change.name}{f': {change.detail}' if change.detail else ''}")
        if change.key is not None:
            out.print(f"         {change.key}    (shown only now)")
    if not changes:
        out.print("Nothing to change.")


def described(key: StoredKey) -> dict[str, Any]:
    """A key without its secret, ready for JSON."""
    from fairlead.stores.system import SystemClock

    now_ns = SystemClock().now_ns()
    if key.revoked_at_ns is not None:
        status = "revoked"
    elif key.expires_at_ns is not None and key.expires_at_ns <= now_ns:
        status = "expired"
    else:
        status = "active"
    return {
        "id": key.id,
        "name": key.name,
        "status": status,
        "user": key.user,
        "team": key.team,
        "models": None if key.models is None else sorted(key.models),
        "budget": budget_of(key.limits),
        "rpm": None if key.limits is None else key.limits.rpm,
        "tpm": None if key.limits is None else key.limits.tpm,
        "concurrency": None if key.limits is None else key.limits.concurrency,
        "created_at": written(key.created_at_ns),
        "expires_at": written(key.expires_at_ns),
        "revoked_at": written(key.revoked_at_ns),
    }


def budget_of(limits: ScopeLimits | None) -> str | None:
    """A budget as `keys create --budget` takes it."""
    from fairlead.core.money import format_usd

    if limits is None or limits.budget_nanousd is None:
        return None
    window = "" if limits.budget_window == "total" else f"/{limits.budget_window}"
    return f"{format_usd(limits.budget_nanousd)}usd{window}"


async def _find(keys: KeyStore, key: str) -> StoredKey:
    """The key of that id, else the one of that name that is live, else the newest of that name."""
    found = await keys.find(key)
    if found is not None:
        return found[0]
    named = [each for each in await keys.keys() if each.name == key]
    live = [each for each in named if each.revoked_at_ns is None]
    if len(live) > 1:
        ids = ", ".join(each.id for each in live)
        raise InvalidRequest(f"several keys are named {key!r}; say which one by its id: {ids}")
    if not named:
        raise NotFound(f"no key with the id or the name {key!r}; `fairlead keys list` shows them")
    return (live or named)[0]


def _note_unchecked(settings: Settings) -> None:
    auth = settings.config.gateway.auth
    if settings.file is None:
        complain("note: without a fairlead.toml the gateway is open and asks for no key; `fairlead init` writes one")
    elif auth != "keys":
        complain(f'note: `[gateway] auth` is "{auth}", so no key is checked; set `auth = "keys"` in {settings.file}')


def _warn_unknown_models(settings: Settings, models: tuple[str, ...] | None) -> None:
    known = settings.config.models
    for name in models or ():
        if name not in known and "*" not in known:
            complain(f"note: the configuration has no model {name!r} yet")


def _show_new(key: StoredKey, shown: str, *, json: bool) -> None:
    if json:
        emit({"key": shown, **described(key)})
        return
    typer.echo(shown)
    complain(f"key {key.name} has the id {key.id}; keep it now: it is not stored and cannot be shown again")


def _show_all(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    names = ("id", "name", "status", "user", "team", "models", "budget", "rpm", "tpm", "concurrency", "expires_at")
    table = Table(*(name.removesuffix("_at") for name in names), box=None, header_style="bold", pad_edge=False)
    for row in rows:
        shown = {**row, "models": "all" if row["models"] is None else ", ".join(row["models"])}
        table.add_row(*(cell(shown[name], "" if row["status"] == "active" else "dim") for name in names))
    if rows:
        show_table(table)
    else:
        console().print("No keys yet; `fairlead keys create --name NAME` makes one.")

"""What can be used is in docs/reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from fairlead.cli import app
from fairlead.telemetry.exposition import METRICS

HEADER = re.compile(r"x-(?:fairlead|ratelimit|should)(?:-[a-z]+)+")
KIND = re.compile(r"(x-ratelimit-[a-z]+)-(?:requests|tokens|concurrency)$")


@pytest.fixture(scope="module")
def pages(root) -> dict[str, str]:
    """The reference, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in (root / "docs" / "reference").glob("*.md")}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_in_the_reference(metric, pages):
    """With its type and its help."""
    assert f"| `{metric.name}` | {metric.type} |" in pages["metrics.md"]


def _commands(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(_commands(typer.main.get_command(app), ("fairlead",)))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_reference(name, pages):
    """Under its own heading, with every option."""
    assert f"\n## {name}\n" in pages["cli.md"]
    section = pages["cli.md"].split(f"\n## {name}\n")[1].split("\n## ")[0]
    options = [option for each in COMMANDS[name].params for option in each.opts if option.startswith("-")]
    assert [option for option in options if not re.search(rf"^\| `[^`]*{option}\b", section, re.MULTILINE)] == []


def test_each_header_of_ours_is_in_the_reference(sources, pages):
    """Every name of a header that the source holds, and every one that a text of it speaks of."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(HEADER.findall(node.value))
    shown = {KIND.sub(r"\1", name) for name in HEADER.findall(pages["gateway.md"])}
    assert len(found) > 5
    assert {name for name in (KIND.sub(r"\1", each) for each in found) if name not in shown} == set()


def test_each_page_of_the_reference_can_be_found(root, pages):
    """The index names it."""
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")
    assert [name for name in pages if f"(reference/{name})" not in index] == []

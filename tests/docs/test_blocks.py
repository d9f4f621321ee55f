"""The documentation's code: every block is at least well-formed, configurations load, marked programs run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.config.litellm import translate
from fairlead.config.load import load_text

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "changelog.d").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/*.md")),
]
BLOCK = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
LANGUAGES = {"python", "bash", "toml", "text", "typescript", "json", "javascript", "yaml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block; `info` is the language, and what is to be done with it."""

    page: str
    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        """The first word of `info`."""
        return self.info.split(" ")[0]


def _blocks(path: Path) -> list[Block]:
    page = path.read_text(encoding="utf-8")
    return [
        Block(
            page=path.relative_to(ROOT).as_posix(),
            line=page.count("\n", 0, match.start()) + 1,
            info=match[2].strip(),
            text="\n".join(line.removeprefix(match[1]) for line in match[3].split("\n")),
        )
        for match in BLOCK.finditer(page)
    ]


BLOCKS = [block for path in PAGES for block in _blocks(path)]


def those(*infos: str) -> pytest.MarkDecorator:
    """Parametrise over the blocks whose info string is one of these."""
    chosen = [block for block in BLOCKS if block.info in infos]
    return pytest.mark.parametrize("block", chosen, ids=[f"{block.page}:{block.line}" for block in chosen])


def test_every_block_says_its_language():
    """A block without a language would be checked by nobody."""
    assert [f"{block.page}:{block.line}" for block in BLOCKS if block.language not in LANGUAGES] == []


@those("python", "python run")
def test_python_is_well_formed(block: Block):
    """It compiles; `await` may stand at the top, as in a notebook."""
    compile(block.text, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@those("python run")
def test_a_marked_program_runs(block: Block, tmp_path: Path):
    """It ends well in an empty folder, on a machine without any key."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        check=False,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr


@those("bash")
def test_bash_is_well_formed(block: Block):
    """The shell can parse it."""
    done = subprocess.run(["bash", "-n"], check=False, input=block.text, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


@those("bash")
def test_make_targets_exist(block: Block):
    """What the documentation asks `make` for is there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)) - targets == set()


@those("toml")
def test_a_configuration_loads(block: Block):
    """A TOML block is a whole configuration that Fairlead accepts."""
    load_text(block.text, f"{block.page}:{block.line}")


@those("yaml")
def test_another_gateways_configuration_is_translated(block: Block):
    """A YAML block is the configuration of a LiteLLM proxy, and what comes of it loads."""
    load_text(translate(block.text, f"{block.page}:{block.line}", {}).text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path):
    """A relative link names a file that exists."""
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_page_is_in_the_index():
    """Nobody has to guess that a page exists."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()

"""Every command and every option stands in docs/command-line.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dialer.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def commands(found: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, nouns without their verbs."""
    inner = getattr(found, "commands", None)
    if inner is None:
        yield name, found
        return
    for word, command in inner.items():
        yield from commands(command, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(app), "dialer"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert f"`{name}" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented_in_its_section(name: str) -> None:
    noun = name.split()[1]
    sections = re.split(r"^##+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = "\n".join(section for section in sections if f"`dialer {noun}" in section)
    for option in COMMANDS[name].params:
        for spelling in option.opts:
            if spelling.startswith("--") and spelling != "--help":
                assert re.search(rf"{re.escape(spelling)}(?![a-z-])", section), f"{name} {spelling}"


def test_no_command_is_documented_that_does_not_exist() -> None:
    nouns = {name.split()[1] for name in COMMANDS}
    for written in re.findall(r"`dialer ([a-z-]+)(?: ([a-z-]+))?", PAGE.read_text(encoding="utf-8")):
        noun, verb = written
        assert noun in nouns, noun
        verbs = {name.split()[2] for name in COMMANDS if name.split()[1] == noun and len(name.split()) > 2}
        assert not verbs or not verb or verb in verbs, f"{noun} {verb}"


def test_every_command_has_a_short_word_on_what_it_does() -> None:
    for name, command in COMMANDS.items():
        short = command.get_short_help_str(limit=60)
        assert short, name
        assert not short.endswith("..."), f"{name}: {short}"

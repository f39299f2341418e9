"""What the documents say is so: links, commands, settings, make targets, words, and the sentences they quote."""

from __future__ import annotations

import ast
import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import create_engine

from dialer.api import outbound
from dialer.api.app import make_app
from dialer.cli import app
from dialer.cli.processes import checked_queues
from dialer.lifecycle import (
    AttemptState,
    CallKind,
    CallState,
    CampaignState,
    DialStatus,
    Disposition,
    VerificationState,
)
from dialer.models import DeliveryState, EventState, ImportState, metadata
from dialer.providers.kinds import adapter_kinds
from dialer.settings import PREFIX, SECRETS_DIR, Settings

ROOT = Path(__file__).parents[2]
LEFT_OVER = re.compile(r"^(\.(?!ci$)|__pycache__$|build$|dist$|.+\.egg-info$)")
#: Read by tests, not by the program.
TEST_SETTINGS = {"DIALER_TEST_POSTGRES_URL", "DIALER_TEST_RABBITMQ_URL"}
#: What clients need to know of a server.
CLIENT_SETTINGS = {"DIALER_URL", "DIALER_ACCOUNT", "DIALER_KEY"}
#: All of `dialer`: building it takes longer than a look at one command.
COMMANDS: Any = typer.main.get_command(app)
#: Spelt so that this file does not hold them.
FORBIDDEN = {
    "the number of an issue": r"\bissues?\s#\d|/issues/\d",
    "a path of somebody's machine": r"(?<![\w.:/])/(wor[k]|home|root|User[s])/[\w.]",
    "a package registry": r"\b(pyp[i]\.org|pythonhoste[d]\.org|ghcr\.i[o]|quay\.i[o]|registry\.[a-z]+\.[a-z]+)\b",
    "a conversation": r"\b([Tt]his|[Pp]revious|[Ee]arlier|[Ll]ast) (sessio[n]|conversatio[n]|chat)\b",
}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project, without what tools leave behind."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listed = subprocess.run(
            [git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if listed.returncode == 0:
            return tuple(
                path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()
            )
    return tuple(sorted(_walk(ROOT)))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if not LEFT_OVER.match(path.name):
            yield from _walk(path) if path.is_dir() else [path]


PAGES = [path for path in tracked() if path.suffix == ".md"]
UNITS = [path for path in tracked() if path.parent.name == "systemd"]


def name_of(path: Path) -> str:
    """How a file is called in a test's id."""
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    """A file's text."""
    return path.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its fenced code."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def code(page: Path) -> str:
    """The code of a page, fenced and inline, one piece a line; all of a file that is no page."""
    if page.suffix != ".md":
        return text_of(page)
    fenced = re.findall(r"^```\w*\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)
    inline = [found[1] for found in re.findall(r"(`+)(.+?)\1", prose(page))]
    return "\n".join([*fenced, *inline]).replace("\\\n", " ")


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


# --- links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), f"{target} leads nowhere"
        assert place.is_relative_to(ROOT), f"{target} leads out of the project"
        if anchor:
            assert anchor in anchors(place), f"{target}: there is no such heading"


def test_the_readme_leads_to_every_page() -> None:
    linked = {
        (ROOT / target).resolve() for target in re.findall(r"\]\(([^)\s#]+)", text_of(ROOT / "README.md"))
    }
    missing = [name_of(page) for page in PAGES if page not in linked and page != ROOT / "README.md"]
    assert not missing


# --- commands ------------------------------------------------------------------------------------------------


def written_commands(page: Path) -> list[list[str]]:
    """The `dialer …` command lines in a page's code, as words."""
    found = re.findall(r"(?:^|[\s(/])dialer ([a-z-][^|;&)<>`\n]*)", code(page), flags=re.MULTILINE)
    return [shlex.split(words.partition(" #")[0].replace("'", "").replace('"', "")) for words in found]


def why_wrong(words: list[str]) -> str | None:
    """Why the command line cannot work; None when it can. A name alone, without its arguments, may be told of."""
    command: Any = COMMANDS
    words = list(words)
    while words and (inner := getattr(command, "commands", None)) and not words[0].startswith("-"):
        if words[0] not in inner:
            return f"there is no {words[0]}"
        command = inner[words.pop(0)]
    options = {
        name: param
        for param in command.params
        for name in [*param.opts, *param.secondary_opts]
        if name.startswith("-")
    }
    options |= dict.fromkeys(("--help", "-h"))
    given = 0
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            given += 1
            continue
        option, equals, value = word.partition("=")
        if option not in options:
            return f"there is no {option}"
        if options[option] is None or options[option].is_flag:
            continue
        if not equals:
            if not words:
                return f"{option} lacks its value"
            value = words.pop(0)
        if option == "--kind" and value.islower() and value not in adapter_kinds():
            return f"there is no kind {value}"
        if option == "--queues" and value.replace(",", "").isalpha():
            try:
                checked_queues(value)
            except typer.BadParameter as error:
                return str(error)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    needed = sum(argument.required for argument in arguments)
    most = math.inf if any(argument.nargs == -1 for argument in arguments) else len(arguments)
    return None if given == 0 or needed <= given <= most else f"it takes {needed} arguments"


@pytest.mark.parametrize("page", [*PAGES, *UNITS], ids=name_of)
def test_every_command_is_one_of_ours(page: Path) -> None:
    wrong = [(" ".join(words), why) for words in written_commands(page) if (why := why_wrong(words))]
    assert not wrong


@pytest.mark.parametrize(
    "line",
    ["upp", "provider ad x", "up --sandbox 8900", "provider add x --kind nokia", "worker --queues call",
     "campaign watch", "campaign watch A B", "up --port", "provider call", "provider call A b c=d e=f",
     "provider call --port 1"],
)  # fmt: skip
def test_a_wrong_command_would_be_found(line: str) -> None:
    words = shlex.split(line)
    right = line in ("campaign watch", "provider call", "provider call A b c=d e=f")
    assert (why_wrong(words) is None) == right


def test_the_readme_shows_commands() -> None:
    assert ["up", "--sandbox-port", "8900"] in written_commands(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    for target in re.findall(r"(?:^|\s)make ([a-z]+)\b", code(page), flags=re.MULTILINE):
        assert target in targets, f"make {target}"


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *UNITS], ids=name_of)
def test_every_setting_exists(page: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {SECRETS_DIR}
    known |= TEST_SETTINGS | CLIENT_SETTINGS
    named = set(re.findall(r"\bDIALER_[A-Z_]*[A-Z]", text_of(page)))
    assert not named - known


# --- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        CampaignState,
        CallState,
        AttemptState,
        Disposition,
        DialStatus,
        CallKind,
        EventState,
        ImportState,
        VerificationState,
        DeliveryState,
    ],
    ids=lambda words: words.__name__,
)
def test_every_word_is_in_the_glossary(words: type[StrEnum]) -> None:
    glossary = text_of(ROOT / "docs" / "glossary.md")
    assert not [word for word in words if f"`{word}`" not in glossary]


def test_every_table_is_in_the_glossary() -> None:
    glossary = text_of(ROOT / "docs" / "glossary.md")
    assert not [name for name in metadata.tables if f"`{name}`" not in glossary]


def test_every_state_of_a_machine_stands_in_its_own_table_of_the_glossary() -> None:
    glossary = text_of(ROOT / "docs" / "glossary.md")
    for machine, states in (
        ("campaign", CampaignState),
        ("call", CallState),
        ("attempt", AttemptState),
        ("verification", VerificationState),
    ):
        table = glossary.partition(f"\n| {machine} | means |\n")[2].partition("\n\n")[0]
        assert re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE) == list(states)


def test_every_invariant_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| I(\d+) \|(.+)\|$", text_of(ROOT / "docs" / "architecture.md"), flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    for number, row in rows:
        tried_by = row.split("|")[-1]
        assert re.search(r"\]\(\.\./tests/\w+/test_\w+\.py\)", tried_by), f"I{number} names no test"


def test_what_the_readme_calls_not_there_yet_is_not_there(tmp_path: Path) -> None:
    served = make_app(create_engine("sqlite://"), Settings(home=tmp_path / "home"))
    paths = set(served.openapi()["paths"])
    section = text_of(ROOT / "README.md").partition("## Not there yet\n")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+)`", section.partition("first-generation API:")[2].partition("\n")[0])
    assert not {f"/api/{name}" for name in named} & paths
    assert ("kinds other than `mitto`" in section) == (adapter_kinds() == ["mitto"])
    for prefix in ("/v1", "/metrics"):
        assert (f"`{prefix}`" in section) != any(path.startswith(prefix) for path in paths), prefix


def test_every_request_stands_in_the_documents(tmp_path: Path) -> None:
    engine, own = create_engine("sqlite://"), Settings(home=tmp_path / "home", _env_file=None)
    singles = outbound.make_router(engine, own, lambda _: None)
    paths = make_app(engine, own, extra_routers=[singles]).openapi()["paths"]
    pages = "\n".join(text_of(page) for page in PAGES if page.parent.name == "docs")
    missing = []
    for path in paths:
        # The first generation's are called by their last part there.
        written = re.escape(re.sub(r"\{\w+_id\}", "{id}", path).removeprefix("/api/"))
        if not re.search(rf"(?<![\w-]){written}(?![\w/{{.-])", pages):
            missing.append(path)
    assert len(paths) > 80
    assert not missing


# --- quotes --------------------------------------------------------------------------------------------------


@cache
def nodes() -> tuple[ast.AST, ...]:
    """The program's syntax trees, flat."""
    modules = [*(ROOT / "dialer").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    return tuple(node for path in modules for node in ast.walk(ast.parse(text_of(path))))


@cache
def sentences() -> str:
    """Every text in the code, one a line; what is filled in separates the pieces of a text."""
    texts = (node.value for node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return "\n".join(" ".join(text.split()) for text in texts)


def quoted() -> list[str]:
    """What the troubleshooting page says that the program says: the first code of each row of such a table. `…`
    stands for what is filled in."""
    page = text_of(ROOT / "docs" / "troubleshooting.md")
    tables = re.findall(
        r"^\| (?:it says|status|event) \|.*?(?=\n\n|\Z)", page, flags=re.MULTILINE | re.DOTALL
    )
    rows = [row for table in tables for row in table.splitlines()[2:]]
    return [found[2] for row in rows if (found := re.search(r"(`+) ?(.+?) ?\1", row))]


@pytest.mark.parametrize("quote", quoted())
def test_what_the_program_is_said_to_say_it_can_say(quote: str) -> None:
    for piece in quote.split("…"):
        assert piece.strip() in sentences(), piece


def test_the_page_on_troubles_quotes_the_program() -> None:
    assert len(quoted()) > 30


def alarming() -> set[str]:
    """What the program logs as a warning or worse."""
    calls = (node for node in nodes() if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return {
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func) in {"log.warning", "log.error", "log.exception"}
    }


def test_the_page_on_operations_tells_of_every_table_how_long_it_is_kept() -> None:
    section = (
        (ROOT / "docs" / "operations.md")
        .read_text()
        .partition("## How long things are kept")[2]
        .partition("\n## ")[0]
    )
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|(.*?)\|", section, flags=re.MULTILINE))))
    assert not set(metadata.tables) - told


def test_the_page_on_troubles_explains_every_line_to_alarm_on() -> None:
    explained = text_of(ROOT / "docs" / "troubleshooting.md").partition("## Lines in the log")[2]
    assert "provider paused" in alarming()
    missing = [line for line in sorted(alarming()) if f"`{line}`" not in explained]
    assert not missing, "docs/troubleshooting.md, Lines in the log, does not explain them"


# --- everything ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    found = []
    for path in tracked():
        try:
            text = text_of(path)
        except UnicodeDecodeError:
            continue  # no text
        found += [f"{name_of(path)}: {match[0]}" for match in re.finditer(FORBIDDEN[what], text)]
    assert not found


def test_the_example_units_are_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    program = tmp_path / "dialer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = []
    for unit in UNITS:
        if unit.suffix in {".service", ".target"}:
            name = unit.name.replace("@.", "@calls.")
            text = text_of(unit).replace("/opt/dialer/bin/dialer", str(program))
            (tmp_path / name).write_text(text, encoding="utf-8")
            names.append(name)
    assert len(names) == 5
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not [line for line in verified.stderr.splitlines() if "dialer" in line]

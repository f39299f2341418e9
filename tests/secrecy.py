"""No credential, number or code in anything that is printed or logged: every test of the whole product listens.

What a test of `tests/integration` or `tests/acceptance` captured (its output and its logs), and whatever else its
helpers let be heard with `hear` (log files of processes, stderr of commands, tasks in the broker), is searched for what
must not be told: the numbers, codes and credentials of the tests' data, and those that a helper keeps with `keep`. A
test that told one fails. `tests/conftest.py` takes the hooks from here; they run where the test runs, so `-n` changes
nothing.

What a command prints on stdout because it was asked to, such as CDRs, is not for here: nobody lets it be heard.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

#: Folders whose tests are listened to. Unit tests of what hides secrets log them on purpose.
LISTENED_TO = frozenset({"integration", "acceptance"})

#: Numbers of the tests' people and accounts, as patterns; each with or without the plus, or with it as a URL has it.
NUMBERS = (
    r"4670\d{7}",  # world.number
    r"4685000\d{4}",
    r"1[2-9]\d{2}555(?:01|[-. ]01)\d\d",  # people_of_nobody.numbers
    r"15168148111",
    r"79[15]\d{8}",  # contract cases and sandboxes of MTT
    r"919999\d{6}",
)
#: One-time passwords; also as they are spoken, digit by digit.
CODES = ("1987", "0987", "730519", "48213", "8264")
#: Credentials that stand in the tests.
CREDENTIALS = (
    "sEcrEt-key-0815",
    "s3same-of-the-callbacks",
    "pa55word-from-a-file",
    "access-key-of-the-test-7b1f",
    "callback-password-of-the-test",
    "d8ac9959r12b43545XXXXX",
    "t0ken-of-the-account",
)

#: Logins that stand in the tests; what is sent of them is neither the name nor the password.
LOGINS = (
    ("user", "s3same"),
    ("user", "password"),
    ("mitto", "s3same"),
    ("north", "s3cret"),
    ("south", "s3cret"),
    ("south", "s3cret:key"),
    ("voice-user", "voice-pass"),
    ("callback-user", "callback-pass"),
    ("mitto", "callback-password-of-the-test"),
)

#: What digits are that are no code: part of a number, an address, a process, an id.
_NO_CODE_BEFORE = re.compile(r"(?:[\w.:/#+-]|(?i:pid|port|line|lineno|bytes|seq)\W{0,4})$")
_NO_CODE_AFTER = re.compile(r"[\w-]|[.:]\d")
_MOST_TOLD = 5

_NUMBER = re.compile(rf"(?<![\w.])(?:\+|%2B)?(?:{'|'.join(NUMBERS)})(?![\w])")
_CODE = re.compile("|".join(f"{code}|{', '.join(code)}" for code in CODES))

#: How pytest begins a line of the log.
_LINE_OF_LOG = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) +\S+:\S+:\d+ ")
_LONG = re.compile(r"\d{7,15}")
#: A JSON web token: whoever has it is let in.
_JWT = re.compile(r"\beyJ[\w-]{6,}\.eyJ[\w-]{6,}\.[\w-]{6,}")
_BASIC = re.compile(r"(?i)\bbasic\W{1,3}([a-z0-9+/]{4,}={0,2})")


def as_sent(user: str, password: str) -> str:
    """A login in HTTP Basic authorization."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


_kept_numbers: set[str] = set()
_kept_words: set[str] = {*CREDENTIALS, *(as_sent(*login) for login in LOGINS)}
_heard: list[tuple[str, str]] = []


def keep(*secrets: str) -> None:
    """From now on these must not be told, either: numbers without the plus, and words of six characters or more."""
    for secret in secrets:
        if _LONG.fullmatch(secret):
            _kept_numbers.add(secret)  # of which there may be many thousands
        elif len(secret) >= 6:
            _kept_words.add(secret)


def keep_login(user: str, password: str) -> None:
    """From now on this password must not be told, nor the two of them as they are sent."""
    keep(password, as_sent(user, password))


def hear(source: str, text: str) -> None:
    """What a process said, to be searched when the test is over; `source` is what to call it."""
    _heard.append((source, text))


def hear_files(folder: Path) -> None:
    """All log files in a folder."""
    for log in sorted(folder.glob("*.log")):
        hear(log.name, log.read_text(encoding="utf-8", errors="replace"))


def told(source: str, text: str) -> list[str]:
    """Where `text` tells what it must not: a sentence for each of the first few."""
    found = []
    words = re.compile("|".join(map(re.escape, sorted(_kept_words, key=len, reverse=True))))
    for place, line in enumerate(text.splitlines(), 1):
        for secret in _secrets_in(line, words):
            found.append(f"{source}, line {place}, tells {secret!r}: {line.strip()[:300]}")
            if len(found) == _MOST_TOLD:
                return found
    return found


def _secrets_in(line: str, words: re.Pattern[str]) -> Iterator[str]:
    yield from (one.group() for one in _NUMBER.finditer(line))
    yield from (one.group() for one in words.finditer(line))
    yield from (one.group() for one in _JWT.finditer(line))
    yield from (one.group() for one in _BASIC.finditer(line) if _is_login(one[1]))
    if _kept_numbers:
        yield from (one for one in _LONG.findall(line) if one in _kept_numbers)
    for one in _CODE.finditer(line):
        before, after = line[max(0, one.start() - 12) : one.start()], line[one.end() :]
        if not _NO_CODE_BEFORE.search(before) and not _NO_CODE_AFTER.match(after):
            yield one.group()


def _is_login(encoded: str) -> bool:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # a word, such as `Basic authorization`
        return False
    return ":" in decoded and decoded.isprintable()


def _as_written(source: str, text: str) -> str:
    """Without the tracebacks that pytest appends, as they were, to lines that have theirs in them, scrubbed."""
    if not source.startswith("Captured log"):
        return text
    written, is_repeated = [], False
    for line in text.splitlines():
        if _LINE_OF_LOG.match(line):
            is_repeated = "'exception': '" in line
            written.append(line)
        elif not is_repeated:
            written.append(line)
    return "\n".join(written)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Once a test and its fixtures are over, look through all that was said; fail it when something was told."""
    report = yield
    if report.when != "teardown":
        return report
    said = [(source, _as_written(source, text)) for source, text in report.sections] + _heard
    _heard.clear()
    if LISTENED_TO.isdisjoint(item.path.parts):
        return report
    leaks = [leak for source, text in said for leak in told(source, text)]
    if leaks:
        report.outcome = "failed"
        earlier = [] if report.longrepr is None else [str(report.longrepr)]
        report.longrepr = "\n".join(
            [*earlier, "What must not be told was told (tests/secrecy.py):", *leaks[:_MOST_TOLD]]
        )
    return report

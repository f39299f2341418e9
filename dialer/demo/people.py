"""The people of the demonstration: made up, with numbers that belong to nobody.

555-0100 to 555-0199 are set apart for fiction in every area code of North America. The last two digits decide what
the sandbox makes of a call (`docs/sandbox.md`), so the endings are dealt out to show every outcome.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, cycle

from dialer.lifecycle import CallState
from dialer.sandbox.outcomes import Answer, Delivery, Ending, fate_of


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


AREA_CODES = _words(
    "201 202 203 205 206 208 210 212 213 214 215 216 217 225 229 301 302 303 304 305 307 308 309 310 312 313 314 316 "
    "318 319 401 402 404 405 406 408 409 410 412 413 414 415 417 419 501 502 503 504 505 507 508 509 510 512 513 515 "
    "516 518 520 601"
)
FIRST_NAMES = _words(
    "Asha Ben Chitra Dmitri Elena Farid Grace Hiro Ines Jonas Kavya Leila Marco Nadia Omar Priya Quentin Rosa Sven "
    "Tara Uma Viktor Wanda Xenia Yusuf Zoe"
)
LAST_NAMES = _words("Adler Bose Costa Dev Eriksen Fischer Ghosh Haddad Ivanova Jain Klein Lopez")

#: Endings of one round of 60 people: 30 of what may go wrong, the rest are simply answered.
ENDINGS = (
    ["02"] * 6 + ["01"] * 4 + ["03"] * 2 + ["05"] * 2 + ["04"]
    + [f"{ending:02d}" for ending in range(6, 21)]
    + [""] * 30
)  # fmt: skip
ORDINARY = [f"{ending:02d}" for ending in range(21, 100)]
MOST_PEOPLE = len(ORDINARY) * len(AREA_CODES)

#: Rows that an import must refuse, each for a reason of its own.
BAD_ROWS = (
    {"contact_number": "12345", "contact_name": "Too Short"},
    {"contact_number": "call me", "contact_name": "No Number"},
    {"contact_number": "1.2125E+10", "contact_name": "From A Spreadsheet"},
    {"contact_number": "", "contact_name": "Left Empty"},
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to call: `number` is E.164."""

    number: str
    name: str
    amount: int
    due: str

    @property
    def row(self) -> dict[str, str]:
        """As it stands in the CSV."""
        return {
            "contact_number": self.number,
            "contact_name": self.name,
            "first_name": self.name.partition(" ")[0],
            "amount": str(self.amount),
            "due": self.due,
        }


def people(number: int) -> list[Person]:
    """So many people, always the same ones, each with a number of their own."""
    days = cycle(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"))
    found = []
    for index, phone in zip(range(number), _numbers(), strict=False):
        first = FIRST_NAMES[index % len(FIRST_NAMES)]
        last = LAST_NAMES[index // len(FIRST_NAMES) % len(LAST_NAMES)]
        found.append(Person(phone, f"{first} {last}", 100 + index * 37 % 900, next(days)))
    return found


def expected_end(number: str) -> CallState:
    """How a call to this number must end, by what the sandbox makes of it."""
    fate = fate_of(number)
    if fate.answer is Answer.SERVER_ERROR or fate.delivery is Delivery.NEVER:
        return CallState.UNKNOWN  # nobody ever says what became of it
    if fate.answer is Answer.INVALID_DATA or fate.ending not in {Ending.ANSWERED, Ending.MACHINE}:
        return CallState.FAILED
    return CallState.COMPLETED


def contacts_csv(persons: list[Person]) -> str:
    """A CSV of contacts with a few rows that cannot be used and one that comes twice."""
    rows = [person.row for person in persons]
    rows[2:2] = BAD_ROWS
    rows.append(persons[0].row)
    return _csv(rows, ["contact_number", "contact_name", "first_name", "amount", "due"])


def dnd_csv(persons: list[Person]) -> str:
    """A CSV of numbers never to dial."""
    rows = [{"contact_number": person.number, "contact_name": person.name} for person in persons]
    return _csv(rows, ["contact_number", "contact_name"])


def on_dnd(persons: list[Person]) -> list[Person]:
    """Those of the people who do not want to be called: one in nineteen."""
    return persons[7::19]


def _numbers() -> Iterator[str]:
    """Numbers of nobody. An ending that has been used in every area code makes place for an ordinary one."""
    used: dict[str, int] = {}
    ordinary = count()
    for ending in cycle(_spread(ENDINGS)):
        if ending and used.get(ending, 0) < len(AREA_CODES):
            area = AREA_CODES[used.get(ending, 0)]
            used[ending] = used.get(ending, 0) + 1
            yield f"+1{area}55501{ending}"
        else:
            place = next(ordinary)
            if place >= MOST_PEOPLE:
                return
            area = AREA_CODES[place % len(AREA_CODES)]
            yield f"+1{area}55501{ORDINARY[place // len(AREA_CODES)]}"


def _spread(endings: list[str]) -> list[str]:
    """The same endings, mixed evenly."""
    return [endings[index * 37 % len(endings)] for index in range(len(endings))]


def _csv(rows: list[dict[str, str]], columns: list[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()

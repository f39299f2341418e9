"""What must be true of a campaign whatever was done to the processes: the sandbox's log, the tables and the CDR API
against each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from service import Service, wait_for

from dialer.demo.people import expected_end
from dialer.lifecycle import CALL_ENDS, CallState
from dialer.store.tables import attempt, call, history

STATUSES = ("answer", "busy", "noanswer", "cancel", "congestion", "chanunavail", "dnd")


_CHANGES = sa.select(sa.func.count(), sa.func.max(history.c.id)).select_from(history)


def attempts_of(service: Service, campaign_id: str) -> dict[str, Any]:
    """The campaign's attempts by their ids."""
    found = service.rows(sa.select(attempt).where(attempt.c.campaign_id == campaign_id))
    return {row.id: row for row in found}


@dataclass(slots=True)
class Checker:
    """The recorded histories of one campaign that has ended."""

    contacts: frozenset[str]
    suppressed: frozenset[str]
    requests: list[dict[str, Any]]
    progress: dict[str, Any]
    calls: dict[str, Any]
    attempts: dict[str, Any]
    cdrs: list[dict[str, Any]]
    statistics: dict[str, int]

    @classmethod
    def of(
        cls, service: Service, campaign_id: str, contacts: list[str], suppressed: list[str] | None = None
    ) -> Checker:
        """Read at a moment when nothing changes: a provider's late word may still settle what had ended UNKNOWN."""

        def read_in_peace() -> Checker | None:
            before = service.rows(_CHANGES)
            made = cls._read(service, campaign_id, contacts, suppressed)
            return made if service.rows(_CHANGES) == before else None

        return wait_for("the histories stand still", read_in_peace)

    @classmethod
    def _read(
        cls, service: Service, campaign_id: str, contacts: list[str], suppressed: list[str] | None
    ) -> Checker:
        attempts = attempts_of(service, campaign_id)
        calls = service.rows(sa.select(call).where(call.c.campaign_id == campaign_id))
        assert len({row.e164 for row in calls}) == len(calls), "a contact was taken twice"
        told = service.post("get_campaign_cdr_statistics", campaign_id=campaign_id)["result"]
        numbers = set(contacts)
        return cls(
            contacts=frozenset(contacts),
            suppressed=frozenset(suppressed or ()),
            requests=[line for line in service.requests() if f"+{line['to']}" in numbers],
            progress=service.cli("campaign", "show", campaign_id, "--json"),
            calls={row.e164: row for row in calls},
            attempts=attempts,
            cdrs=service.post("get_cdr_by_campaign_id", campaign_id=campaign_id)["result"],
            statistics={name: told[f"{name}_calls"][0] for name in STATUSES}
            | {"total": told["total_calls"][0]},
        )

    def check(self, *, state: str = "FINISHED", ended_as_played: bool = True, most_unknown: int = 0) -> None:
        """Everything. With `ended_as_played`, all calls ended as the sandbox plays their numbers, except that up to
        `most_unknown` others may have ended UNKNOWN: their workers were killed between send and answer."""
        self.check_provider()
        self.check_counters(state)
        self.check_cdrs()
        if ended_as_played:
            self.check_ends(most_unknown)

    def check_provider(self) -> None:
        """Nobody was asked for twice: the provider's own log is the witness."""
        references = Counter(line["reference"] for line in self.requests)
        assert not [one for one, times in references.items() if times > 1], "an attempt was sent twice"
        assert references.keys() <= self.attempts.keys(), "something was sent that is no attempt"
        taken = {line["reference"] for line in self.requests if line["accepted"]}
        not_placed = {one for one, row in self.attempts.items() if row.state == "NOT_PLACED"}
        assert not taken & not_placed, "a call was taken that we hold as never placed"
        ended = {one for one, row in self.attempts.items() if row.state == "ENDED"}
        assert ended <= taken, "an attempt has an end that was never taken"
        dialled = {f"+{line['to']}" for line in self.requests}
        assert not dialled & self.suppressed, "somebody on a DND list was dialled"
        for reference, line in ((line["reference"], line) for line in self.requests):
            assert self.attempts[reference].e164 == f"+{line['to']}", "an attempt went to another number"

    def check_counters(self, state: str) -> None:
        """The campaign's counters add up."""
        assert self.progress["state"] == state
        assert not self.progress["open"], self.progress
        assert self.progress["contacts"] == len(self.contacts)
        assert self.progress["taken"] == len(self.contacts)
        assert sum(self.progress["ended"].values()) == len(self.contacts), self.progress
        ends = Counter(row.state for row in self.calls.values())
        assert all(CallState(end) in CALL_ENDS for end in ends)
        if state == "FINISHED":  # after a stop, who was never taken is counted and has no row
            assert self.calls.keys() == self.contacts
            assert ends == Counter(self.progress["ended"])

    def check_cdrs(self) -> None:
        """Statistics and CDRs agree; every attempt that came to something has one CDR, everybody has one."""
        assert self.statistics["total"] == len(self.cdrs)
        by_status = Counter(row["dial_status"].lower() for row in self.cdrs)
        assert by_status == Counter({name: self.statistics[name] for name in STATUSES})
        of_attempts = Counter(row["uniqueid"] for row in self.cdrs if row["uniqueid"])
        # Given up as UNKNOWN, which has a CDR, before its worker said that it was never placed.
        given_up = {one for one, row in self.attempts.items() if row.disposition == "UNKNOWN"}
        came_to_something = {one for one, row in self.attempts.items() if row.state != "NOT_PLACED"}
        assert max(of_attempts.values(), default=1) == 1, "an attempt has two CDRs"
        assert came_to_something <= of_attempts.keys() <= came_to_something | given_up
        seen = {f"+{row['dialed_number']}" for row in self.cdrs}
        never_dialled = {
            number for number, row in self.calls.items() if row.state in ("CANCELLED", "EXPIRED")
        }
        assert seen | never_dialled == set(self.calls)
        dnd = {f"+{row['dialed_number']}" for row in self.cdrs if row["is_dnd"] == "1"}
        assert dnd == self.suppressed

    def check_ends(self, most_unknown: int) -> None:
        """Every call ended as the sandbox plays its number."""
        otherwise = {
            number: row.state
            for number, row in self.calls.items()
            if number not in self.suppressed and row.state != expected_end(number)
        }
        assert all(state == "UNKNOWN" for state in otherwise.values()), otherwise
        assert len(otherwise) <= most_unknown, f"{len(otherwise)} ended UNKNOWN, {most_unknown} may"

    def check_each_accepted_once(self) -> None:
        """For campaigns without repeats: the provider took every number once; one that ended UNKNOWN at most once."""
        taken = Counter(f"+{line['to']}" for line in self.requests if line["accepted"])
        assert not [number for number, times in taken.items() if times > 1], "somebody was rung twice"
        missing = self.contacts - self.suppressed - taken.keys()
        assert {self.calls[number].state for number in missing} <= {"UNKNOWN"}, "somebody was not rung"

    @property
    def unknown(self) -> int:
        """How many calls ended UNKNOWN."""
        return sum(row.state == "UNKNOWN" for row in self.calls.values())

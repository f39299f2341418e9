"""`dialer cdr`: the records of what was dialled."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli.answers import MOST, Limit, given, show_all
from dialer.cli.database import database, find_account
from dialer.cli.options import spread
from dialer.cli.output import Json
from dialer.cli.reach import Account, Url, owner_of, reach
from dialer.lifecycle import DialStatus, Disposition

if TYPE_CHECKING:
    from dialer.store.cdrs import Filter

app = typer.Typer(no_args_is_help=True, help="Call detail records.")

_COLUMNS = [
    "call_date",
    "direction",
    "number",
    "dial_status",
    "disposition",
    "billsec",
    "campaign_id",
    "request_id",
]


class Format(StrEnum):
    """How CDRs are written."""

    CSV = "csv"
    JSONL = "jsonl"


class Direction(StrEnum):
    """Which way a call went."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which CDRs are meant."""

    campaign: Annotated[str | None, typer.Option(help="Only those of the campaign with this id.")] = None
    call: Annotated[str | None, typer.Option(help="Only those of the call with this id.")] = None
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="From this date or time on (UTC).")
    ] = None
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="DATE", help="Until the end of this date, or until just before this time (UTC)."
        ),
    ] = None
    disposition: Annotated[
        Disposition | None,
        typer.Option(case_sensitive=False, metavar="WORD", help="That ended so, such as NO_ANSWER."),
    ] = None
    dial_status: Annotated[
        DialStatus | None,
        typer.Option(
            case_sensitive=False, metavar="WORD", help="The same in the first generation's words: NOANSWER."
        ),
    ] = None
    direction: Annotated[
        Direction | None,
        typer.Option(case_sensitive=False, metavar="WORD", help="outbound or inbound."),
    ] = None
    number: Annotated[str | None, typer.Option(help="To this number; with --direction inbound, from it.")] = (
        None
    )

    @property
    def since(self) -> datetime | None:
        """The first moment. Wrong usage for what is none."""
        return None if self.from_ is None else instant(self.from_, "--from")

    @property
    def before(self) -> datetime | None:
        """The first moment that is too late. Wrong usage for what is none."""
        return None if self.to is None else instant(self.to, "--to", end_of_day=True)

    def asked(self) -> dict[str, Any]:
        """As the API is asked for them."""
        return given(
            campaign_id=self.campaign,
            call_id=self.call,
            from_=self.since,
            to=self.before,
            disposition=self.disposition,
            dial_status=self.dial_status,
            direction=self.direction,
            number=self.number,
        )

    def filter(self, region: str | None) -> Filter:
        """As the database is asked for them. Wrong usage for what is no number of this region."""
        from dialer.numbers import NumberError, to_e164
        from dialer.store.cdrs import Filter

        try:
            e164 = None if self.number is None else to_e164(self.number, region)
        except NumberError as error:
            raise typer.BadParameter(error.reason, param_hint="--number") from None
        return Filter(
            campaign_id=self.campaign,
            call_id=self.call,
            since=self.since,
            before=self.before,
            disposition=self.disposition,
            dial_status=self.dial_status,
            came_in=None if self.direction is None else self.direction is Direction.INBOUND,
            e164=e164,
        )


@app.command("list")
@spread
def list_all(
    chosen: Chosen, limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """List an account's CDRs, the newest first."""
    owner = None if chosen.campaign is None else owner_of("campaign", chosen.campaign)
    asked = chosen.asked()
    with reach(url, account, owner) as api:
        show_all(api.cdrs.list(**asked), _COLUMNS, as_json=json, nothing="There is no such CDR.", limit=limit)


@app.command()
@spread
def export(
    chosen: Chosen,
    format_: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.CSV,
    url: Url = None,
    account: Account = None,
) -> None:
    """Write CDRs to stdout.

    They are written as they are read, however many there are. In CSV, numbers are digits without the plus, and texts
    that a spreadsheet would take for a formula begin with an apostrophe; JSON lines hold everything as it is.
    """
    asked = chosen.asked()
    if url is not None:
        with reach(url, account) as api:
            ask = api.cdrs.export_csv if format_ is Format.CSV else api.cdrs.export_jsonl
            sys.stdout.buffer.writelines(ask(**asked))
            sys.stdout.buffer.flush()
    else:
        _export(account, chosen, format_)


def _export(account: str | None, chosen: Chosen, format_: Format) -> None:
    """Read beside the database, where they may be everybody's."""
    from dialer.calls import cdr_export
    from dialer.settings import get_settings
    from dialer.store import cdrs

    with database() as engine:
        found = None if account is None else find_account(engine, account)
        account_id, region = (None, None) if found is None else (found.id, found.default_region)
        wanted = chosen.filter(region or get_settings().default_region)
        rows = cdrs.export(engine, wanted, account_id=account_id)
        if format_ is Format.CSV:
            sys.stdout.write(cdr_export.csv_header())
            sys.stdout.writelines(cdr_export.csv_lines(rows))
        else:
            sys.stdout.writelines(cdr_export.json_lines(rows))
        sys.stdout.flush()


def instant(text: str, option: str, *, end_of_day: bool = False) -> datetime:
    """The instant meant by `2026-09-25` (its beginning in UTC, or its end), or by `2026-09-25T14:05` with or without
    an offset. Wrong usage otherwise."""
    try:
        if len(text.strip()) == len("2026-09-25"):
            day = date.fromisoformat(text.strip()) + (timedelta(days=1) if end_of_day else timedelta(0))
            return datetime.combine(day, time(0), UTC)
        at = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no date: write 2026-09-25 or 2026-09-25T14:05:00.", param_hint=option
        ) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)

"""`dialer account verification`: the rules of an account's verifications."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dialer.cli.answers import given
from dialer.cli.options import spread
from dialer.cli.output import Json, print_one
from dialer.cli.reach import Url, reach

_Limit = "SENDS/SECONDS"


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What of the rules is to be changed."""

    countries: Annotated[
        str | None,
        typer.Option(
            metavar="SE,NO|*", help="Countries whose numbers may be verified; '': the default region alone."
        ),
    ] = None
    lifetime: Annotated[int | None, typer.Option(help="Seconds for which a code is good.")] = None
    max_sends: Annotated[int | None, typer.Option(help="Calls and messages of one verification.")] = None
    max_checks: Annotated[int | None, typer.Option(help="Wrong codes after which it fails.")] = None
    resend_after: Annotated[
        int | None, typer.Option(help="Seconds between two sends that are asked for.")
    ] = None
    code_length: Annotated[int | None, typer.Option(help="Digits of a code, save where one flashes.")] = None
    number_limit: Annotated[str | None, typer.Option(metavar=_Limit, help="Sends to one number.")] = None
    prefix_limit: Annotated[
        str | None, typer.Option(metavar=_Limit, help="Sends to numbers that begin alike.")
    ] = None
    prefix_digits: Annotated[
        int | None, typer.Option(help="How many digits after the country code are alike.")
    ] = None
    rate_key_limit: Annotated[
        str | None, typer.Option(metavar=_Limit, help="Sends for one rate key of the account's app.")
    ] = None
    check_limit: Annotated[
        str | None, typer.Option(metavar="CHECKS/SECONDS", help="Wrong codes for one number.")
    ] = None
    alarm_of_last: Annotated[
        int | None, typer.Option(help="The alarm looks at so many of the last ones.")
    ] = None
    alarm_below: Annotated[
        float | None, typer.Option(help="… and rings when a smaller part is confirmed, such as 0.3.")
    ] = None
    caller_id: Annotated[str | None, typer.Option(help="What voice calls show; '': nothing set.")] = None
    template: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The announce template that is said; '': a text of ours."),
    ] = None

    def changes(self, before: dict[str, Any]) -> dict[str, Any]:
        """The rules that change, whole where one has several parts; an empty text takes away what was set. Wrong
        usage for what is no limit."""
        plain = given(
            lifetime=self.lifetime,
            max_sends=self.max_sends,
            max_checks=self.max_checks,
            resend_after=self.resend_after,
            code_length=self.code_length,
        )
        if self.countries is not None:
            plain["countries"] = [one for one in self.countries.split(",") if one.strip()] or None
        texts = given(caller_id=self.caller_id, template_id=self.template)
        nested = {
            "number_limit": _limit(self.number_limit, "--number-limit"),
            "prefix_limit": _limit(self.prefix_limit, "--prefix-limit") | given(digits=self.prefix_digits),
            "rate_key_limit": _limit(self.rate_key_limit, "--rate-key-limit"),
            "check_limit": _limit(self.check_limit, "--check-limit", of="checks"),
            "alarm": given(of_last=self.alarm_of_last, below=self.alarm_below),
        }
        whole = {field: {**before[field], **parts} for field, parts in nested.items() if parts}
        return plain | {field: text or None for field, text in texts.items()} | whole


@spread
def verification(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name or id; with --url its id.")],
    options: RuleOptions,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show or change the rules of its verifications.

    Without an option they are shown.
    """
    from pydantic import ValidationError

    from dialer.verifications import rules

    with reach(url, name) as api:
        found: dict[str, Any] = dict(api.verifications.settings())
        changes: Any = options.changes(found)
        try:
            rules.Rules.model_validate(changes)
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(str(part) for part in wrong["loc"])
            raise typer.BadParameter(f"{field}: {wrong['msg']}.") from None
        if changes:
            found = dict(api.verifications.change_settings(**changes))
    print_one(found, as_json=json)


def _limit(text: str | None, option: str, of: str = "sends") -> dict[str, Any]:
    if text is None:
        return {}
    most, slash, seconds = text.partition("/")
    if not (slash and most.strip().isdecimal() and seconds.strip().isdecimal()):
        raise typer.BadParameter(
            f"{text} is no limit: write {of}/seconds, such as 10/3600.", param_hint=option
        )
    return {of: int(most), "seconds": int(seconds)}

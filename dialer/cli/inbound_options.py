"""What `dialer inbound set` is told of a rule: what becomes of the call, what is heard, and who is rung how."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dialer.cli.answers import given


@dataclass(frozen=True, slots=True)
class ActionOptions:
    """What becomes of the call."""

    connect: Annotated[
        list[str] | None,
        typer.Option(help="Connect with this number; more than one are rung one after the other."),
    ] = None
    at_once: Annotated[bool, typer.Option("--at-once", help="Ring all of them at once.")] = False
    call_back: Annotated[
        bool,
        typer.Option(
            "--call-back",
            help="Hang up, call back, and connect with the first number of --connect that answers.",
        ),
    ] = False
    opt_out: Annotated[
        bool,
        typer.Option("--opt-out", help="Put the caller on the account's global DND list, and hang up."),
    ] = False
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse the call.")] = False

    def action(self, *, says: bool) -> str:
        """The one action that the options choose; `says`: something is heard first. Wrong usage otherwise."""
        from dialer.models.inbound import InboundAction

        connects = bool(self.connect)
        connecting = InboundAction.CONNECT_ALL if self.at_once else InboundAction.CONNECT
        chosen = [
            action
            for action, is_chosen in (
                (InboundAction.CALL_BACK, self.call_back),
                (InboundAction.OPT_OUT, self.opt_out),
                (InboundAction.REFUSE, self.refuse),
                (connecting, connects and not self.call_back),
            )
            if is_chosen
        ]
        if self.call_back and not connects:
            raise typer.BadParameter(
                "say with --connect whom the caller is to talk to.", param_hint="--call-back"
            )
        if self.at_once and (self.call_back or not connects):
            raise typer.BadParameter(
                "it goes with --connect, and not with --call-back.", param_hint="--at-once"
            )
        if len(chosen) > 1:
            raise typer.BadParameter("choose one of --connect, --call-back, --opt-out and --refuse.")
        if not chosen and not says:
            raise typer.BadParameter(
                "say what is to happen: --connect, --call-back, --opt-out, --refuse, --say …"
            )
        return (chosen[0] if chosen else InboundAction.ANNOUNCE).value


@dataclass(frozen=True, slots=True)
class HeardOptions:
    """What the caller hears, and whoever picks up."""

    say: Annotated[str | None, typer.Option(help="A text that the caller hears first.")] = None
    play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None
    answer_first: Annotated[
        bool,
        typer.Option(
            "--answer-first",
            help="Answer the call before they hear it; else the provider may play it unanswered.",
        ),
    ] = False
    greet_say: Annotated[str | None, typer.Option(help="A text that whoever picks up hears first.")] = None
    greet_play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None
    back_say: Annotated[
        str | None,
        typer.Option(help="With --call-back: a text that the caller hears when they have picked up."),
    ] = None
    back_play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None
    language: Annotated[str, typer.Option(help="The text's language.")] = "en-US"
    voice: Annotated[str, typer.Option(help="The voice that speaks it.")] = "Joanna"

    def fields(self) -> dict[str, Any]:
        """The fields of a rule."""
        return given(
            say=self.say,
            play=self.play,
            answer_first=self.answer_first,
            greet_say=self.greet_say,
            greet_play=self.greet_play,
            back_say=self.back_say,
            back_play=self.back_play,
            language=self.language,
            voice=self.voice,
        )


@dataclass(frozen=True, slots=True)
class RingOptions:
    """How the numbers of `--connect` are rung."""

    ring: Annotated[
        list[int] | None,
        typer.Option(
            min=5,
            max=120,
            help="Seconds for which each number is rung, 30 unless given, 60 with --at-once; given again for each "
            "--connect, of each by itself.",
        ),
    ] = None
    hide_caller: Annotated[
        bool, typer.Option("--hide-caller", help="Hide the caller's number from whoever is rung.")
    ] = False
    press: Annotated[
        str | None,
        typer.Option(help="Keys that are pressed when a number has answered; w and W wait, as in W1w3151#."),
    ] = None
    record: Annotated[bool, typer.Option("--record", help="Record what is said.")] = False

    def numbers(self, connect: Sequence[str]) -> list[Any]:
        """Whom to ring, each for a time of its own where that was given. Wrong usage for some times and not all."""
        seconds = self.ring or []
        if seconds and len(seconds) not in (1, len(connect)):
            raise typer.BadParameter("give it once, or once for each --connect.", param_hint="--ring")
        if len(seconds) < 2:
            return list(connect)
        return [{"number": one, "seconds": own} for one, own in zip(connect, seconds, strict=True)]

    def fields(self) -> dict[str, Any]:
        """The other fields of a rule."""
        return given(
            ring_seconds=self.ring[0] if self.ring else None,
            hide_caller=self.hide_caller,
            press=self.press,
            record=self.record,
        )

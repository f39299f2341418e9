"""The repeat policy: after which outcomes a call is made again, how often and after how long.

The policy is data; `decide` is the only place that turns it into a repeat. `docs/repeat-policy.md` explains it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from dialer.lifecycle import DIAL_STATUS, CallState, Disposition
from dialer.logs import get_logger

log = get_logger(__name__)

MOST_TIMES = 100
LONGEST_DELAY = 30 * 24 * 3600

#: Nobody can be reached at such a number; nobody knows whether such a call rang. Neither is dialled again.
NEVER_REPEATED = frozenset({Disposition.INVALID_NUMBER, Disposition.UNKNOWN})
ANSWERED = frozenset({Disposition.ANSWERED, Disposition.MACHINE})
UNANSWERED = frozenset(Disposition) - ANSWERED - NEVER_REPEATED

#: What each word of the first generation's `retry_on_statuses` stands for: the dispositions its CDR shows under
#: that word. FAILED, which no CDR shows, is the disposition of that name.
RETRY_WORDS: Mapping[str, frozenset[Disposition]] = {
    "NOANSWER": frozenset({Disposition.NO_ANSWER}),
    "NOANSER": frozenset({Disposition.NO_ANSWER}),  # spelled so in `cpaas-campaign-api.md`
    "FAILED": frozenset({Disposition.FAILED}),
    **{
        word: frozenset(item for item in UNANSWERED if DIAL_STATUS[item] == word)
        for word in ("BUSY", "CONGESTION", "CHANUNAVAIL", "CANCEL")
    },
}

#: The four outcomes of `mitto-platform-api.md`, "Launching the application with repeats"; the first disposition
#: of each holds the rule, the others draw on it.
_MITTO_OUTCOMES: Mapping[str, tuple[Disposition, ...]] = {
    "Busy": (Disposition.BUSY, Disposition.REJECTED),
    "Answered": (Disposition.ANSWERED, Disposition.MACHINE),
    "Failed": (Disposition.FAILED, Disposition.UNAVAILABLE, Disposition.CONGESTION, Disposition.CANCELLED),
    "NoAnswer": (Disposition.NO_ANSWER,),
}


class RepeatPolicyError(ValueError):
    """A repeat policy that cannot be meant. The text is one sentence naming the field and the mend."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Repeat up to `times`; the n-th repeat waits `delays[n]` seconds, the last delay serving all further ones."""

    times: int
    delays: tuple[int, ...]

    def __post_init__(self) -> None:
        _bounded("times", self.times, MOST_TIMES)
        if self.times and not self.delays:
            raise RepeatPolicyError("delays must hold at least one number of seconds when times is above 0.")
        if len(self.delays) > MOST_TIMES:
            raise RepeatPolicyError(f"delays may hold at most {MOST_TIMES} numbers.")
        for delay in self.delays:
            _bounded("delays", delay, LONGEST_DELAY)

    def delay_of(self, repeat: int) -> timedelta:
        """How long the repeat of that index (0 is the first) waits."""
        return timedelta(seconds=self.delays[min(repeat, len(self.delays) - 1)])


@dataclass(frozen=True, slots=True)
class RepeatPolicy:
    """One `Rule` per disposition; `most` bounds all repeats of a call together (None: only the rules do).

    `shares` lets dispositions draw on the rule of another: `{REJECTED: BUSY}` counts both against BUSY's times.
    """

    rules: Mapping[Disposition, Rule] = field(default_factory=dict)
    most: int | None = None
    shares: Mapping[Disposition, Disposition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.most is not None:
            _bounded("most", self.most, MOST_TIMES)
        for disposition in (*self.rules, *self.shares):
            if disposition in NEVER_REPEATED:
                raise RepeatPolicyError(f"rules.{disposition} is never repeated: leave it out.")
        for disposition, shared in self.shares.items():
            if disposition in self.rules:
                raise RepeatPolicyError(f"rules.{disposition} has both a rule and same_as: keep one of them.")
            if shared not in self.rules:
                raise RepeatPolicyError(
                    f"rules.{disposition}.same_as names {shared}, which has no rule of its own: give it one."
                )

    @classmethod
    def of_retries(cls, max_retries: int, retry_time: int, statuses: Collection[str] | None) -> RepeatPolicy:
        """The first generation's `max_retries`, `retry_time` (seconds) and `retry_on_statuses`.

        Without statuses every unanswered disposition is repeated. `max_retries` bounds all repeats together.
        """
        _bounded("max_retries", max_retries, MOST_TIMES)
        _bounded("retry_time", retry_time, LONGEST_DELAY)
        repeated = _of_words(statuses) if statuses else UNANSWERED
        if max_retries == 0:
            return NO_REPEATS
        rule = Rule(max_retries, (retry_time,))
        return cls({disposition: rule for disposition in Disposition if disposition in repeated}, max_retries)

    @classmethod
    def of_mitto(cls, given: Mapping[str, object]) -> RepeatPolicy:
        """Repeats in the words of `mitto-platform-api.md`: `isRepeat`, `repeatBusy`, `repeatBusyCount`, …

        Other keys are ignored; numbers may be strings. An outcome switched on needs its Count and its Int.
        """
        if not _switch("isRepeat", given.get("isRepeat", 0)):
            return NO_REPEATS
        rules: dict[Disposition, Rule] = {}
        shares: dict[Disposition, Disposition] = {}
        for outcome, (holder, *others) in _MITTO_OUTCOMES.items():
            name = f"repeat{outcome}"
            if not _switch(name, given.get(name, 0)):
                continue
            times = _number(f"{name}Count", given.get(f"{name}Count"), MOST_TIMES)
            delay = _number(f"{name}Int", given.get(f"{name}Int"), LONGEST_DELAY)
            if times:
                rules[holder] = Rule(times, (delay,))
                shares.update(dict.fromkeys(others, holder))
        return cls(rules, None, shares)

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> RepeatPolicy:
        """Read `{"most": 3, "rules": {"BUSY": {"times": 2, "delays": [60, 300]}, …}}`.

        Instead of `delays` a rule may have `"backoff": {"first": 60, "factor": 2, "max": 3600}`, and instead of
        both a disposition may have `{"same_as": "BUSY"}`. Raises `RepeatPolicyError`.
        """
        if not isinstance(given, Mapping):
            raise RepeatPolicyError('repeat_policy must be an object such as {"most": 3, "rules": {…}}.')
        _only("repeat_policy", given, ("most", "rules"))
        entries = given.get("rules", {})
        if not isinstance(entries, Mapping):
            raise RepeatPolicyError("rules must be an object with a disposition for each rule.")
        most = given.get("most")
        rules: dict[Disposition, Rule] = {}
        shares: dict[Disposition, Disposition] = {}
        for name, entry in entries.items():
            disposition = _disposition("rules", name)
            if disposition in rules or disposition in shares:
                raise RepeatPolicyError(f"rules names {disposition} twice: keep one of them.")
            where = f"rules.{disposition}"
            if not isinstance(entry, Mapping):
                raise RepeatPolicyError(
                    f'{where} must be an object such as {{"times": 2, "delays": [60, 300]}}.'
                )
            if "same_as" in entry:
                _only(where, entry, ("same_as",))
                shares[disposition] = _disposition(f"{where}.same_as", entry["same_as"])
            else:
                rules[disposition] = _rule(where, entry)
        return cls(rules, None if most is None else _number("most", most, MOST_TIMES), shares)

    def to_mitto(self) -> dict[str, int]:
        """The policy in Mitto's words, as `of_mitto` reads them.

        Raises `RepeatPolicyError` for one that they cannot say: Mitto has one count and one delay for each of four
        outcomes, and no bound of all repeats together.
        """
        if not self.times:
            return {"isRepeat": 0}
        if self.most is not None and self.most < self.times:
            raise RepeatPolicyError(
                "most bounds all repeats of a call together, and Mitto counts each outcome by itself: leave most out, "
                "or give the repeats as isRepeat, repeatBusy, repeatBusyCount and so on."
            )
        told = {"isRepeat": 1}
        for outcome, dispositions in _MITTO_OUTCOMES.items():
            holders = {self._holder(one) if self.rule_of(one) else None for one in dispositions}
            together = ", ".join(dispositions)
            if len(holders) > 1 or not holders <= {None, *dispositions}:
                raise RepeatPolicyError(
                    f"Mitto counts {together} together, as repeat{outcome}, and apart from all others: give one of "
                    "them a rule and the others same_as, or none of them one."
                )
            holder = holders.pop()
            rule = None if holder is None else self.rules[holder]
            if rule is None or not rule.times:
                continue
            delays = {rule.delay_of(repeat) for repeat in range(rule.times)}
            if len(delays) > 1:
                raise RepeatPolicyError(
                    f"Mitto has one delay for all repeats of {together}: give delays one number of seconds."
                )
            told |= {
                f"repeat{outcome}": 1,
                f"repeat{outcome}Count": rule.times,
                f"repeat{outcome}Int": int(delays.pop().total_seconds()),
            }
        return told

    def to_json(self) -> dict[str, object]:
        """The shape that `parse` reads; a backoff comes out as its delays."""
        entries: dict[str, object] = {
            disposition.value: {"times": rule.times, "delays": list(rule.delays)}
            for disposition, rule in self.rules.items()
        }
        entries |= {
            disposition.value: {"same_as": shared.value} for disposition, shared in self.shares.items()
        }
        return {"most": self.most, "rules": entries}

    @property
    def times(self) -> int:
        """The repeats of all rules together."""
        return sum(rule.times for rule in self.rules.values())

    def _holder(self, disposition: Disposition) -> Disposition:
        return self.shares.get(disposition, disposition)

    def spent(self, used: Mapping[Disposition, int], disposition: Disposition) -> int:
        """How many repeats of the rule that `disposition` draws on are used up."""
        holder = self._holder(disposition)
        return sum(count for item, count in used.items() if self._holder(item) is holder)

    def rule_of(self, disposition: Disposition) -> Rule | None:
        return self.rules.get(self._holder(disposition))


NO_REPEATS = RepeatPolicy()


def stored(given: Mapping[str, Any] | None) -> RepeatPolicy:
    """The policy that `RepeatPolicy.to_json` wrote; none when it cannot be read."""
    if not given:
        return NO_REPEATS
    key = repr(given)
    if key not in _stored:
        if len(_stored) > 1000:
            _stored.clear()
        try:
            _stored[key] = RepeatPolicy.parse(given)
        except RepeatPolicyError as error:
            # Written by another version, say: whoever is not repeated is not rung too often either.
            log.error("repeat policy cannot be read, so nothing is repeated", error=str(error))
            _stored[key] = NO_REPEATS
    return _stored[key]


_stored: dict[str, RepeatPolicy] = {}


@dataclass(frozen=True, slots=True)
class Repeat:
    """The call is to be made again, not before `due_at` (UTC)."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """The call is over."""

    state: CallState


Decision: TypeAlias = Repeat | End


def decide(
    policy: RepeatPolicy, disposition: Disposition, used: Mapping[Disposition, int], now: datetime
) -> Decision:
    """What follows an attempt that ended with `disposition`, `used` being the repeats the call has had so far."""
    if disposition is Disposition.UNKNOWN:
        return End(CallState.UNKNOWN)
    if disposition in NEVER_REPEATED:
        return End(CallState.FAILED)
    rule = policy.rule_of(disposition)
    if rule is not None:
        spent = policy.spent(used, disposition)
        if spent < rule.times and (policy.most is None or sum(used.values()) < policy.most):
            return Repeat(now + rule.delay_of(spent))
    return End(CallState.COMPLETED if disposition in ANSWERED else CallState.FAILED)


def count_repeat(used: Mapping[Disposition, int], disposition: Disposition) -> dict[Disposition, int]:
    """`used` after one more repeat because of `disposition`."""
    return {**used, disposition: used.get(disposition, 0) + 1}


def used_to_json(used: Mapping[Disposition, int]) -> dict[str, int]:
    """`{"BUSY": 1}`: the shape of the column."""
    return {disposition.value: count for disposition, count in used.items() if count}


def used_from_json(stored: Mapping[str, int] | None) -> dict[Disposition, int]:
    return {Disposition(name): count for name, count in (stored or {}).items()}


def _of_words(words: Collection[str]) -> frozenset[Disposition]:
    repeated: set[Disposition] = set()
    for word in words:
        found = RETRY_WORDS.get(word.strip().upper())
        if found is None:
            allowed = ", ".join(sorted(RETRY_WORDS.keys() - {"NOANSER"}))
            raise RepeatPolicyError(f"retry_on_statuses holds {word.strip()[:30]!r}: use {allowed}.")
        repeated |= found
    return frozenset(repeated)


def _rule(where: str, entry: Mapping[str, object]) -> Rule:
    _only(where, entry, ("times", "delays", "backoff"))
    if "delays" in entry and "backoff" in entry:
        raise RepeatPolicyError(f"{where} has both delays and backoff: keep one of them.")
    times = _number(f"{where}.times", entry.get("times"), MOST_TIMES)
    waits = entry.get("delays", entry.get("backoff"))
    if isinstance(waits, Mapping):
        return Rule(times, _backoff(f"{where}.backoff", waits, times))
    if isinstance(waits, str) or not isinstance(waits, Sequence) or not waits or len(waits) > MOST_TIMES:
        raise RepeatPolicyError(
            f"{where}.delays must be a list of 1 to {MOST_TIMES} numbers of seconds such as [60, 300]."
        )
    return Rule(times, tuple(_number(f"{where}.delays", delay, LONGEST_DELAY) for delay in waits))


def _backoff(where: str, given: Mapping[str, object], times: int) -> tuple[int, ...]:
    """`first`, then each delay `factor` times the one before, none above `max`."""
    _only(where, given, ("first", "factor", "max"))
    first = _number(f"{where}.first", given.get("first"), LONGEST_DELAY)
    highest = _number(f"{where}.max", given.get("max", LONGEST_DELAY), LONGEST_DELAY)
    factor = given.get("factor", 2)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 100:
        raise RepeatPolicyError(f"{where}.factor must be a number from 1 to 100.")
    delays: list[int] = []
    delay = float(first)
    for _ in range(max(times, 1)):
        delays.append(min(math.floor(delay), highest))
        delay = min(delay * factor, LONGEST_DELAY)
    return tuple(delays)


def _disposition(where: str, name: object) -> Disposition:
    word = name.strip().upper() if isinstance(name, str) else ""
    allowed = [item for item in Disposition if item not in NEVER_REPEATED]
    if word in allowed:
        return Disposition(word)
    raise RepeatPolicyError(
        f"{where} names {str(name)[:30]!r}, which cannot be repeated: use {', '.join(allowed)}."
    )


def _only(where: str, given: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise RepeatPolicyError(f"{where}.{str(key)[:30]} is not known: use {', '.join(known)}.")


def _switch(where: str, value: object) -> bool:
    return _number(where, value, 1) == 1


def _number(where: str, value: object, most: int) -> int:
    """A whole number from 0 to `most`, given as a JSON number or as a string of digits."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RepeatPolicyError(f"{where} must be a whole number from 0 to {most}.")
    return _bounded(where, value, most)


def _bounded(where: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise RepeatPolicyError(f"{where} must be a whole number from 0 to {most}.")
    return value

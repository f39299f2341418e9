"""A mirror: the black list at a provider, kept in step with an account's global DND list. Decisions only.

It is a second line. Whether a number is dialled is decided here, by the DND list itself; a mirror that is late or does
not work delays nothing. A rule at the provider is one of ours only if we have put it there: those that people made are
never taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dialer.models.dnd_mirror import RuleState

#: What a rule that the provider lists turns out to be. One that was refused was there before, by another hand; one
#: whose request got no answer may have been, so it counts as that, too.
_LISTED: Mapping[RuleState, RuleState] = {
    RuleState.ADDING: RuleState.THEIRS,
    RuleState.OURS: RuleState.OURS,
    RuleState.DELETING: RuleState.OURS,
    RuleState.REFUSED: RuleState.THEIRS,
    RuleState.THEIRS: RuleState.THEIRS,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be put on the black list and taken off it, in order; `position` is where to go on, None at the end."""

    add: tuple[str, ...]
    delete: tuple[str, ...]
    position: str | None


def difference(wanted: Sequence[str], rules: Sequence[tuple[str, RuleState]], most: int) -> Difference:
    """What differs between the next numbers of a DND list and the next rules that we know of, both in order and each
    of them at most `most`.

    What is under way or was refused waits for the next comparison: nothing is sent twice.
    """
    ends = [
        end
        for end, size in ((wanted[-1:], len(wanted)), ([n for n, _ in rules[-1:]], len(rules)))
        if size >= most
    ]
    position = min((end[0] for end in ends), default=None)
    known = {number: state for number, state in rules if position is None or number <= position}
    listed = [number for number in wanted if position is None or number <= position]
    kept = frozenset(listed)
    return Difference(
        add=tuple(number for number in listed if number not in known),
        delete=tuple(
            number for number, state in known.items() if state is RuleState.OURS and number not in kept
        ),
        position=position,
    )


def compared(
    known: Mapping[str, RuleState], listed: AbstractSet[str] | Collection[str]
) -> dict[str, RuleState | None]:
    """The rules that turn out to be others than we thought, from all that the provider lists; None: no rule any more.

    A rule that is gone is forgotten, so that it is put there again if it is wanted; one that we know nothing of is
    another's.
    """
    found: dict[str, RuleState | None] = {}
    for number, state in known.items():
        told = _LISTED[state] if number in listed else None
        if told is not state:
            found[number] = told
    found.update((number, RuleState.THEIRS) for number in listed if number not in known)
    return found

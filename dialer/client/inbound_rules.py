"""`client.inbound_rules`: what becomes of people who call the account's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from dialer.client.answers import InboundRule, InboundRuleHere
from dialer.client.bodies import InboundRuleForm
from dialer.client.group import PAGE_SIZE, Group


class InboundRules(Group):
    """Rules of numbers, one each."""

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[InboundRule]:
        """All rules, by number."""
        return self._pages(InboundRule, "inbound-rules", page_size=page_size)

    def get(self, number: str, /) -> InboundRuleHere:
        """The rule of a number, and which providers would ask for it."""
        return self._get(InboundRuleHere, "inbound-rules", number)

    def set(self, number: str, /, **form: Unpack[InboundRuleForm]) -> InboundRuleHere:
        """Say what becomes of calls to a number, in place of what was said before."""
        return self._put(InboundRuleHere, "inbound-rules", number, body=form)

    def remove(self, number: str, /) -> None:
        """Take a rule away: calls to the number are refused."""
        self._delete("inbound-rules", number)

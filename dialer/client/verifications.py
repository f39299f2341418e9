"""`client.verifications`: codes that are brought to a number and told back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from dialer.client.bodies import VerificationRequest
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import Channel, Rules, VerificationState
from dialer.client.verification_answers import Checked, Statistics, Verification


class Verifications(Group):
    """Verifications."""

    def begin(self, **wanted: Unpack[VerificationRequest]) -> Verification:
        """Bring a code to a number. It is not tried again by itself."""
        return self._post(Verification, "verifications", body=wanted)

    def list(
        self, *, state: VerificationState | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[Verification]:
        """All verifications, the newest first; `state`: only those in it."""
        return self._pages(Verification, "verifications", page_size=page_size, params={"state": state})

    def settings(self) -> Rules:
        """The account's rules."""
        return self._get(Rules, "verifications", "settings")

    def change_settings(self, **rules: Unpack[Rules]) -> Rules:
        """Change the account's rules; what is left out stays."""
        return self._patch(Rules, "verifications", "settings", body=rules)

    def statistics(self, *, hours: int | None = None) -> Statistics:
        """How many were confirmed, by country."""
        return self._get(Statistics, "verifications", "statistics", hours=hours)

    def get(self, verification_id: str, /) -> Verification:
        """A verification."""
        return self._get(Verification, "verifications", verification_id)

    def check(self, verification_id: str, /, code: str) -> Checked:
        """Whether this is the code; `valid` says so."""
        return self._post(Checked, "verifications", verification_id, "check", body={"code": code})

    def resend(self, verification_id: str, /, channel: Channel | None = None) -> Verification:
        """Bring the code again, by the next channel or by this one."""
        return self._post(Verification, "verifications", verification_id, "resend", body={"channel": channel})

    def cancel(self, verification_id: str, /) -> Verification:
        """End a verification: no code confirms it any more."""
        return self._post(Verification, "verifications", verification_id, "cancel")

"""Codes are told: a check is counted before it is answered, so that nobody tries more often than may be."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from dialer.db import writing
from dialer.errors import Conflict
from dialer.lifecycle import VerificationState
from dialer.store import audit
from dialer.store import verifications as store
from dialer.verifications import decide
from dialer.verifications.codes import Codes
from dialer.verifications.hold import check_open, end, hold, insisting


def check(
    engine: Engine, codes: Codes, account_id: str, verification_id: str, told: str, now: datetime
) -> bool:
    """Whether this is the code of an open verification, which is over then. A wrong one is counted, and the last that
    may be ends it.

    Raises `NotFound`, and `Conflict` where it has ended.
    """

    def once() -> bool | None:
        with writing(engine) as connection:
            held = hold(connection, account_id, verification_id)
            row = held.row
            if row.state == VerificationState.PENDING and now >= row.expires_at:
                end(connection, held, VerificationState.EXPIRED, decide.TIME_IS_UP, now)
                return None  # committed before it is refused
            check_open(held, now)
            if codes.is_right(row.code_hash, row.id, told):
                end(connection, held, VerificationState.VERIFIED, decide.CONFIRMED, now)
                return True
            if row.checks + 1 >= row.max_checks:
                end(
                    connection,
                    held,
                    VerificationState.FAILED,
                    decide.TOO_MANY_CHECKS,
                    now,
                    checks=row.checks + 1,
                )
            else:
                store.update(connection, row, checks=row.checks + 1)
            return False

    is_right = insisting(once)
    if is_right is None:
        raise Conflict("verification_id", "verification_id: this verification is EXPIRED: begin a new one.")
    return is_right


def cancel(engine: Engine, account_id: str, actor: str, verification_id: str, now: datetime) -> bool:
    """Take an open verification back; whether that is new. `actor` is who does, for the audit log.

    Raises `NotFound`, and `Conflict` where it has ended in another way.
    """

    def once() -> bool:
        with writing(engine) as connection:
            held = hold(connection, account_id, verification_id)
            if held.row.state == VerificationState.CANCELLED:
                return False
            check_open(held, now)
            end(connection, held, VerificationState.CANCELLED, "cancelled", now)
            audit.add(connection, account_id, actor, "verification.cancel", verification_id, now)
            return True

    return insisting(once)

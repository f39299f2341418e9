"""The rules of an account's verifications are changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dialer.errors import NotFound
from dialer.store import audit, singles
from dialer.store import verifications as store
from dialer.verifications import rules
from dialer.verifications.bring import check_text
from dialer.verifications.rules import Rules


def change(connection: Connection, account_id: str, actor: str, patch: Rules, now: datetime) -> Rules:
    """Set those rules that `patch` was made with; None takes one away. The rules after it; `actor` is who did it, for
    the audit log.

    Raises `NotFound` for a template that the account may not use, `FieldError` for one that no code can be said in.
    """
    if patch.template_id:
        template = singles.asked(connection, account_id, patch.template_id).template
        if template is None:
            raise NotFound(
                "template_id", "template_id: this account has no approved template of this id; check it."
            )
        check_text(template)
    given = rules.changed(store.lock_rules(connection, account_id), patch)
    store.set_rules(connection, account_id, given)
    changed = sorted(patch.model_fields_set)
    audit.add(connection, account_id, actor, "verification.settings", account_id, now, changed=changed)
    return rules.of_account(given)

"""How a provider comes into the table: its settings checked by its adapter, its credentials sealed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dialer import ids
from dialer.providers.contract import ProviderConfig, ProviderSettingError
from dialer.providers.kinds import adapter_class, adapter_kinds, make_adapter
from dialer.secrets import SecretBox, SecretError, new_webhook_token
from dialer.store.tables import AnyRow

#: How long the previous webhook URL still works after a rotation.
BOTH_TOKENS_FOR = timedelta(hours=24)
#: A provider's name stands in its webhook URL.
NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
LONGEST_NAME = 64


def read_settings(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` as given to `--set`: `key=env:VAR` and `key=@file` keep secrets out of the command line.

    A line break at the end of a file does not count. Raises ProviderSettingError.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ProviderSettingError(f"--set {key or '…'} needs a value: write --set key=value.")
        settings[key] = _value(key, value)
    return settings


def new_row(
    *,
    name: str,
    kind: str,
    base_url: str | None,
    settings: Mapping[str, str],
    box: SecretBox,
    now: datetime,
    account_id: str | None = None,
    priority: int = 100,
    calls_per_minute: int | None = None,
    max_concurrent: int | None = None,
) -> dict[str, Any]:
    """A row for the provider table. Raises ProviderSettingError, one sentence, for what cannot work."""
    if not name or len(name) > LONGEST_NAME or not NAME_LETTERS.issuperset(name) or not name.strip("."):
        raise ProviderSettingError(
            "A provider's name stands in its webhook URL: use up to 64 letters, digits, dashes, dots or underscores."
        )
    provider_id = ids.provider_id()
    return {
        "id": provider_id,
        "name": name,
        "kind": kind,
        "account_id": account_id,
        "enabled": True,
        "priority": priority,
        "calls_per_minute": calls_per_minute,
        "max_concurrent": max_concurrent,
        "webhook_token": new_webhook_token(),
        "created_at": now,
        **_configuration(provider_id, name, kind, base_url or "", settings, box),
    }


def changed(row: AnyRow, base_url: str | None, settings: Mapping[str, str], box: SecretBox) -> dict[str, Any]:
    """The columns that change when a provider gets another base URL or settings; an empty value takes a setting
    away, what is not named stays. Credentials that no key opens any more are replaced as a whole.

    Raises ProviderSettingError, and SecretError when credentials cannot be opened and none are given."""
    kept = {**_kept(row, settings, box), **settings}
    wanted = {key: value for key, value in kept.items() if value != ""}
    return _configuration(row.id, row.name, row.kind, base_url or row.base_url, wanted, box)


def rotated(row: AnyRow, now: datetime) -> dict[str, Any]:
    """The columns that change when a provider gets a new webhook token: the old one holds for 24 hours more."""
    return {
        "webhook_token": new_webhook_token(),
        "previous_webhook_token": row.webhook_token,
        "previous_token_until": now + BOTH_TOKENS_FOR,
    }


def open_config(row: AnyRow, box: SecretBox, public_url: str) -> ProviderConfig:
    """A provider as its adapter takes it. Raises SecretError when its credentials cannot be opened."""
    return ProviderConfig(
        id=row.id,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        settings=box.open(row.credentials),
        callback_url=webhook_url(public_url, row),
    )


def mirrors_dnd(kind: str, name: str, account_id: str | None, wanted: bool | None) -> bool:
    """Whether a provider's black list is kept in step with its account's DND list; None leaves it to whether there are
    both. Raises ProviderSettingError, a sentence, when it is wanted and there are not."""
    keeps_one = adapter_class(kind).black_list is not None
    if wanted and not keeps_one:
        kinds = ", ".join(kind for kind in adapter_kinds() if adapter_class(kind).black_list is not None)
        raise ProviderSettingError(
            f"A provider of kind {kind} keeps no black list, so there is nothing to mirror; kinds with one: {kinds}."
        )
    if wanted and account_id is None:
        raise ProviderSettingError(
            f"Provider {name} serves every account, and its black list can be kept in step with one DND list alone: "
            "say whose with --account."
        )
    return keeps_one and account_id is not None and wanted is not False


def webhook_url(public_url: str, row: AnyRow) -> str:
    """The address to give to the provider."""
    return f"{public_url}/webhooks/{row.name}/{row.webhook_token}"


def callback_auth_hash(settings: Mapping[str, str]) -> str | None:
    """SHA-256 of the `user:password` that callbacks must carry; None when neither is set."""
    user, password = settings.get("callback_user", ""), settings.get("callback_password", "")
    if not user and not password:
        return None
    return hashlib.sha256(f"{user}:{password}".encode()).hexdigest()


def _kept(row: AnyRow, settings: Mapping[str, str], box: SecretBox) -> dict[str, str]:
    try:
        return box.open(row.credentials)
    except SecretError:
        if not settings:
            raise
        return {}


def _configuration(
    provider_id: str, name: str, kind: str, base_url: str, settings: Mapping[str, str], box: SecretBox
) -> dict[str, Any]:
    _check_keys(kind, name, settings)
    adapter = make_adapter(ProviderConfig(provider_id, name, kind, base_url, settings))
    return {
        "base_url": adapter.base_url,
        "credentials": box.seal(settings),
        "open_settings": {key: settings[key] for key in sorted(adapter.open_settings & settings.keys())},
        "callback_auth_hash": callback_auth_hash(settings),
    }


def _check_keys(kind: str, name: str, settings: Mapping[str, str]) -> None:
    """All that is missing and all that is unknown, in one sentence each: an adapter tells of the first alone."""
    adapter = adapter_class(kind)
    required, optional = adapter.required_settings, adapter.optional_settings
    problems = []
    if unknown := [key for key in settings if key not in required and key not in optional]:
        known = ", ".join([*required, *optional])
        problems.append(f"A provider of kind {kind} has no setting {', '.join(unknown)}; it knows {known}.")
    if missing := [key for key in required if not settings.get(key, "").strip()]:
        needed = ", ".join(f"{key} ({required[key]})" for key in missing)
        problems.append(f"Provider {name} needs {needed}: give each with --set key=value.")
    if problems:
        raise ProviderSettingError(" ".join(problems))


def _value(key: str, value: str) -> str:
    if value.startswith("env:"):
        variable = value.removeprefix("env:")
        if variable not in os.environ:
            raise ProviderSettingError(
                f"--set {key} asks for the variable {variable}, which is not set: export it."
            )
        return os.environ[variable]
    if value.startswith("@"):
        path = Path(value[1:]).expanduser()
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise ProviderSettingError(
                f"--set {key} cannot read {path} ({reason}): name a readable file."
            ) from None
    return value

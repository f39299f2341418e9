"""Recorded files of an account, in its own folder of the uploads.

No provider fetches them from us: each plays files that were put into its own storage, under the name that a campaign
then gives. The file must lie in the uploads, too, under that name; `provider/NAME` is one that the provider alone has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from dialer import uploads
from dialer.errors import FieldError, NotFound
from dialer.settings import Settings
from dialer.uploads import Upload

#: How a file of the uploads may be named, and one that only the provider knows must be.
PREFIX, AT_PROVIDER = "uploads/", "provider/"
#: What files of each kind begin with, after so many bytes.
_KINDS: dict[str, tuple[tuple[int, bytes], ...]] = {
    ".wav": ((8, b"WAVE"),),
    ".mp3": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"), (0, b"\xff\xfa")),
    ".ogg": ((0, b"OggS"),),
}
_HEAD = 12


def of_account(settings: Settings, account_id: str) -> Iterator[Upload]:
    """An account's recorded files, by name. Raises `OSError`."""
    return (one for one in uploads.listed(settings, account_id) if is_name(one.name))


def is_name(name: str) -> bool:
    """Whether a file of this name is taken for a recorded one."""
    return name.lower().endswith(tuple(_KINDS))


def add(settings: Settings, account_id: str, field: str, name: str, file: BinaryIO) -> Upload:
    """Keep a recorded file. Raises `FieldError` for what is none, and else as `uploads.add`."""
    uploads.check_name(field, name)
    kind = next((one for one in _KINDS if name.lower().endswith(one)), None)
    if kind is None:
        raise FieldError(field, f"{field}: the name must end in one of {', '.join(_KINDS)}.")
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    if not any(head[at:].startswith(magic) for at, magic in _KINDS[kind]):
        raise FieldError(
            field, f"{field}: the file is not what its name says: save it as {kind[1:].upper()}."
        )
    return uploads.add(settings, account_id, field, name, file)


def find(settings: Settings, account_id: str, field: str, name: str) -> Upload:
    """A recorded file in the account's own folder. Raises `FieldError` for what is no name, `NotFound`."""
    found = uploads.find_own(settings, account_id, field, name) if is_name(name) else None
    if found is None:
        uploads.check_name(field, name)
        raise NotFound(field, f"{field}: this account has no such recorded file; check the name.")
    return found


def known_as(settings: Settings, account_id: str, field: str, name: str) -> str:
    """What a campaign keeps of a recorded file's name: as it is of one that lies in the uploads, which every other name
    must, and with its prefix of one that the provider alone knows.

    Raises `FieldError`.
    """
    if name.startswith(AT_PROVIDER):
        check_provider_name(field, name.removeprefix(AT_PROVIDER))
        return name
    name = name.removeprefix(PREFIX)
    uploads.check_name(field, name, such_as="hello.wav")
    if not is_name(name):
        raise FieldError(
            field,
            f"{field}: the name of a recorded file ends in one of {', '.join(_KINDS)}; one that only the provider "
            f"knows is written {AT_PROVIDER}NAME.",
        )
    try:
        return uploads.find(settings, account_id, field, name).name
    except FieldError as error:
        raise FieldError(
            field,
            f"{error.message.rstrip('.')}, or write {AT_PROVIDER}{name} for one that only the provider has.",
        ) from None


def check_provider_name(field: str, name: str) -> None:
    """Raises `FieldError` for what no recorded file at a provider is called."""
    if "/" in name or "\\" in name:
        raise FieldError(
            field,
            f"{field} must be the name under which the provider has the recorded file, without folders.",
        )
    uploads.check_name(field, name, such_as="hello.wav")


def at_provider(kept: str | None) -> str | None:
    """The name that the provider is given of what a campaign keeps."""
    return None if kept is None else kept.removeprefix(AT_PROVIDER)

"""Files that people put where we read them: below `DIALER_UPLOADS`, a folder or `s3://bucket/prefix`.

An account's files lie in a folder (in a bucket: under a prefix) of its own, named like its id. In development those
that lie in the uploads folder itself are found, too. What we keep of an import lies in the account's `.imports`, which
no name that people give leads to.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dialer import buckets
from dialer.buckets import BucketError, ChangedError
from dialer.errors import Conflict, FieldError, NoRoom
from dialer.settings import Settings, SettingsError

LONGEST_NAME = 255
#: Folders of accounts, and what a file is called while it is written.
_ACCOUNT = re.compile(r"AC[0-9a-z]{10}")
_DRAFT = re.compile(r"\..{1,100}\.[0-9]+\.[0-9a-f]{8}", re.DOTALL)
#: Where the files of an account's imports are kept while they are read.
SCRATCH = ".imports"

#: What a path may hide behind where somebody decodes names once more.
_HIDDEN = re.compile(r"%(2e|2f|5c|00)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file: where it lies (a path or `s3://bucket/key`), its bytes, and what tells it from another under its name."""

    location: str
    size: int
    version: str = ""

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.location.rpartition("/")[2]

    def open(self) -> BinaryIO:
        """To be read and sought in. Raises `OSError`, also while it is read, and `ChangedError`."""
        if buckets.is_address(self.location):
            return buckets.opened(self.location, self.size, self.version)
        file = Path(self.location).open("rb")  # noqa: SIM115 - who asked for it closes it
        found = os.fstat(file.fileno())
        if self.size != found.st_size or (self.version and self.version != _version(found)):
            file.close()
            raise ChangedError(self.name)
        return file


def find(settings: Settings, account_id: str, field: str, name: str) -> Upload:
    """The account's file called `name`; `field` is the parameter that named it.

    Raises `FieldError` for a name that is none, of no file there, or of one that cannot be looked at.
    """
    check_name(field, name)
    for folder in _folders(settings, account_id):
        try:
            found = _in_folder(folder, name)
        except OSError as error:
            raise FieldError(
                field,
                f"{field}: {name[:80]!r} cannot be read ({why(error)}): see to the uploads, and try again.",
            ) from None
        if found is not None:
            return found
    # A file that lies in no account's folder could be read by all of them.
    if settings.is_production:
        raise FieldError(
            field,
            f"{field}: there is no file {name[:80]!r} in this account's own folder; put it into the folder "
            f"{account_id} of the uploads folder.",
        )
    raise FieldError(
        field, f"{field}: there is no file {name[:80]!r} in the uploads folder; upload it first."
    )


def find_own(settings: Settings, account_id: str, field: str, name: str) -> Upload | None:
    """The file called `name` in the account's own folder, whatever the mode. Raises `FieldError` as `find`."""
    check_name(field, name)
    try:
        return _in_folder(_own(settings, account_id), name)
    except OSError as error:
        raise FieldError(
            field, f"{field}: {name[:80]!r} cannot be read ({why(error)}): see to the uploads, and try again."
        ) from None


def check_name(field: str, name: str, *, such_as: str = "contacts.csv") -> None:
    """Raises `FieldError` for what is no plain name of a file."""
    if (
        not name
        or len(name.encode("utf-8", "replace")) > LONGEST_NAME
        or not name.isprintable()
        or name.startswith(".")
        or _HIDDEN.search(name)
    ):
        raise FieldError(field, f"{field} must be the plain name of an uploaded file, such as {such_as}.")
    if "/" in name or "\\" in name:
        raise FieldError(
            field, f"{field} must be a file's name without folders: put the file into the uploads folder."
        )


def at(location: str) -> Upload | None:
    """The file that lies there; None when there is none. Raises `OSError`."""
    if buckets.is_address(location):
        found = buckets.look(location)
        return None if found is None else Upload(location, *found)
    try:
        status = Path(location).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Upload(location, status.st_size, _version(status)) if stat.S_ISREG(status.st_mode) else None


def listed(settings: Settings, account_id: str) -> Iterator[Upload]:
    """The files of an account's own folder, by name. Raises `OSError`."""
    folder = _own(settings, account_id)
    if buckets.is_address(folder):
        for key, size, version in sorted(buckets.listed(folder)):
            if not key.startswith("."):
                yield Upload(f"{folder}/{key}", size, version)
        return
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(".") and (found := _in_folder(folder, name)) is not None:
            yield found


def add(settings: Settings, account_id: str, field: str, name: str, file: BinaryIO) -> Upload:
    """Put a file into the account's own folder. Raises `FieldError` for its name, `Conflict` when there is one of that
    name, `NoRoom`, and `SettingsError` when nothing can be written there."""
    check_name(field, name)
    try:
        return _put_in_room(settings, account_id, field, f"{_own(settings, account_id)}/{name}", file)
    except FileExistsError:
        raise Conflict(
            field, f"{field}: there is a file {name[:80]!r} already; remove it first, or choose another name."
        ) from None
    except OSError as error:
        raise _unwritable(error) from None


def keep(settings: Settings, account_id: str, field: str, name: str, file: BinaryIO) -> Upload:
    """Put a file where only an import of the account reads it; `field` is the parameter that it came with. Raises
    `NoRoom`, and `SettingsError` when nothing can be written."""
    try:
        location = f"{_own(settings, account_id)}/{SCRATCH}/{name}"
        return _put_in_room(settings, account_id, field, location, file)
    except OSError as error:
        raise _unwritable(error) from None


def is_kept(location: str) -> bool:
    """Whether `keep` has put it there."""
    return location.rpartition("/")[0].endswith(f"/{SCRATCH}")


def used(settings: Settings, account_id: str) -> int:
    """The bytes of all files of an account, those included that are kept of imports. Raises `OSError`."""
    own = _own(settings, account_id)
    if buckets.is_address(own):
        return sum(size for _, size, _ in buckets.walked(own))
    # A draft that has just got its name has two for a moment.
    sizes = {file.inode: file.size for folder in (own, f"{own}/{SCRATCH}") for file in _files(Path(folder))}
    return sum(sizes.values())


@dataclass(frozen=True, slots=True)
class Left:
    """A file that was kept of an import, or (without a name) a draft of a file that was never ready."""

    account_id: str
    location: str
    name: str


def left(settings: Settings, before: datetime) -> Iterator[Left]:
    """Those of all accounts that were last changed before then. Raises `OSError`."""
    if buckets.is_address(settings.uploads):
        root = settings.uploads.rstrip("/")
        for key, _, changed_at in buckets.walked(root):
            account_id, _, rest = key.partition("/")
            folder, _, name = rest.rpartition("/")
            if folder == SCRATCH and changed_at < before:
                yield Left(account_id, f"{root}/{key}", name)
        return
    for own in _folders_in(Path(settings.uploads).resolve()):
        for place in (own, own / SCRATCH):
            for file in _files(place):
                is_draft = _DRAFT.fullmatch(file.path.name) is not None
                if file.changed_at < before and (is_draft or place.name == SCRATCH):
                    yield Left(own.name, str(file.path), "" if is_draft else file.path.name)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    inode: int
    size: int
    changed_at: datetime


def _files(folder: Path) -> Iterator[_File]:
    """The plain files in a folder, hidden ones included; none when it is not there."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # gone meanwhile
            continue
        if stat.S_ISREG(found.st_mode):
            changed_at = datetime.fromtimestamp(found.st_mtime, UTC)
            yield _File(Path(entry.path), found.st_ino, found.st_size, changed_at)


def _folders_in(root: Path) -> Iterator[Path]:
    """The folders of accounts."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if _ACCOUNT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)


def _put_in_room(settings: Settings, account_id: str, field: str, location: str, file: BinaryIO) -> Upload:
    """Write a file that is not there yet where the account's files have room for it. Raises `NoRoom`, and as `_put`.

    It is looked before, so that nothing is written in vain, and again after: of those that are sent at the same time
    each has looked without the others. Whoever looks last sees them all, so they never stay beyond the limit.
    """
    size = file.seek(0, os.SEEK_END)
    _check_room(settings, field, used(settings, account_id), size)
    file.seek(0)
    put = _put(location, file)
    try:
        _check_room(settings, field, used(settings, account_id) - size, size)
    except (NoRoom, OSError):
        remove(location)
        raise
    return put


def _check_room(settings: Settings, field: str, taken: int, size: int) -> None:
    """Raises `NoRoom` when `size` bytes more than those `taken` are more than an account's files may have."""
    most = settings.account_upload_bytes
    if taken + size > most:
        raise NoRoom(
            field,
            f"{field}: the account's files may have {most:,} bytes together, and have {taken:,}; this one has "
            f"{size:,}: remove recorded files, wait until imports are over, or ask the operator for more.",
        )


def remove(location: str) -> None:
    """Remove a file, if it is there. Raises `OSError`."""
    if buckets.is_address(location):
        buckets.remove(location)
    else:
        Path(location).unlink(missing_ok=True)


def why(error: OSError) -> str:
    """What went wrong; never the path, which is nobody's business but the operator's."""
    if isinstance(error, BucketError):
        return str(error)
    return error.strerror or type(error).__name__


def _own(settings: Settings, account_id: str) -> str:
    if buckets.is_address(settings.uploads):
        return f"{settings.uploads.rstrip('/')}/{account_id}"
    return str(Path(settings.uploads).resolve() / account_id)


def _folders(settings: Settings, account_id: str) -> Iterator[str]:
    own = _own(settings, account_id)
    yield own
    if not settings.is_production:
        yield own.rpartition("/")[0]


def _in_folder(folder: str, name: str) -> Upload | None:
    if buckets.is_address(folder):
        return at(f"{folder}/{name}")
    found = (Path(folder) / name).resolve()
    # A link may lead to another name in the folder, not out of it.
    return at(str(found)) if str(found.parent) == folder and not found.name.startswith(".") else None


def _put(location: str, file: BinaryIO) -> Upload:
    """Write a file that is not there yet, whole or not at all. Raises `FileExistsError`, `OSError`."""
    if buckets.is_address(location):
        buckets.put(location, file)
    else:
        _write(Path(location), file)
    found = at(location)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "it is gone as soon as it is written")
    return found


def _write(path: Path, file: BinaryIO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.parent / f".{path.name[:100]}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        with draft.open("xb") as target:
            shutil.copyfileobj(file, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
        os.link(draft, path)  # unlike a rename, never replaces what is there
    finally:
        draft.unlink(missing_ok=True)


def _version(status: os.stat_result) -> str:
    return str(status.st_mtime_ns)


def _unwritable(error: OSError) -> SettingsError:
    return SettingsError(
        [
            f"The file cannot be kept ({why(error)}): the operator must let the service write into the place "
            "that DIALER_UPLOADS names."
        ]
    )

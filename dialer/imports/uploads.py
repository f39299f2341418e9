"""Where uploaded files lie: an account's own folder below `DIALER_UPLOADS`; in development that folder itself, too."""

from __future__ import annotations

import stat
from pathlib import Path

from dialer.errors import FieldError
from dialer.settings import Settings, SettingsError

LONGEST_NAME = 255


def find(settings: Settings, account_id: str, field: str, name: str) -> Path:
    """The uploaded file called `name`; `field` is the parameter that named it.

    Raises `FieldError` for a name that is none, or of no file there; `SettingsError` for an `s3://` place.
    """
    if settings.uploads.startswith("s3://"):
        raise SettingsError(
            ["DIALER_UPLOADS names an S3 bucket, which imports cannot read yet: set it to a folder."]
        )
    if not name or len(name.encode()) > LONGEST_NAME or not name.isprintable() or name.startswith("."):
        raise FieldError(field, f"{field} must be the plain name of an uploaded file, such as contacts.csv.")
    if "/" in name or "\\" in name:
        raise FieldError(
            field, f"{field} must be a file's name without folders: put the file into the uploads folder."
        )
    uploads = Path(settings.uploads).resolve()
    own = uploads / account_id
    if (found := _in_folder(own, name)) is not None:
        return found
    # A file that lies in no account's folder could be read by all of them.
    if settings.is_production:
        raise FieldError(
            field,
            f"{field}: there is no file {name[:80]!r} in this account's own folder; put it into the folder "
            f"{account_id} of the uploads folder.",
        )
    if (found := _in_folder(uploads, name)) is not None:
        return found
    raise FieldError(
        field, f"{field}: there is no file {name[:80]!r} in the uploads folder; upload it first."
    )


def _in_folder(folder: Path, name: str) -> Path | None:
    found = (folder / name).resolve()
    # A link may lead to another name in the folder, not out of it.
    return found if found.parent == folder and found.is_file() else None


def size_of(path: Path) -> int | None:
    """Bytes of a regular file; None when there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None

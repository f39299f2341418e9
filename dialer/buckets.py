"""Files in buckets that speak S3, by obstore (`pip install dialer[s3]`), which is imported when a bucket is used.

Credentials, region and endpoint come from the usual environment: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or a
role of the host, container or pod; `AWS_REGION`; `AWS_ENDPOINT_URL` for other servers than Amazon's, and
`AWS_CONDITIONAL_PUT=disabled` for those that refuse conditions on what is written.
"""

# ruff: noqa: PLC0415 - 6 MB and 100 ms that most installations need not spend

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dialer.settings import SettingsError

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"
#: Bytes of one request: a batch of an import is read in a few.
READ_AT_ONCE = 4 * 1024 * 1024
#: Bytes up to which an object is written in one request; it is in memory meanwhile.
WRITE_AT_ONCE = 16 * 1024 * 1024
#: How often, and how long, a request is tried again.
TRIES = 5
TRIED_FOR = timedelta(seconds=20)


class ChangedError(Exception):
    """A file is no longer the one that was found."""


class BucketError(OSError):
    """A bucket that did not do what it was asked; the text is a few words, without names or keys."""

    def __str__(self) -> str:
        return str(self.strerror)


def is_address(location: str) -> bool:
    """Whether it is an address in a bucket."""
    return location.startswith(SCHEME)


def look(location: str) -> tuple[int, str] | None:
    """The bytes and the ETag of an object; None when there is none. Raises `BucketError`."""
    import obstore

    store, key = _store_and_key(location)
    with _told():
        try:
            found = obstore.head(store, key)
        except FileNotFoundError:
            return None
    return found["size"], found["e_tag"] or ""


def opened(location: str, size: int, etag: str) -> BinaryIO:
    """An object to be read in ranges. Raises `BucketError` or `ChangedError` when it is read."""
    return cast("BinaryIO", io.BufferedReader(_Object(location, size, etag), READ_AT_ONCE))


def listed(folder: str) -> Iterator[tuple[str, int, str]]:
    """Name, bytes and ETag of each object in a folder, not of those in folders of that. Raises `BucketError`."""
    import obstore

    store, prefix = _store_and_key(folder)
    with _told():
        found = obstore.list_with_delimiter(store, f"{prefix}/")["objects"]
    for one in found:
        yield one["path"].rpartition("/")[2], one["size"], one["e_tag"] or ""


def walked(folder: str) -> Iterator[tuple[str, int, datetime]]:
    """Key below the folder, bytes and last change (UTC) of each object in it and in folders of it, in pages of a
    thousand. Raises `BucketError`."""
    import obstore

    store, prefix = _store_and_key(folder)
    start = f"{prefix}/" if prefix else ""
    with _told():
        for page in obstore.list(store, start or None, chunk_size=1000):
            for one in page:
                yield one["path"].removeprefix(start), one["size"], one["last_modified"]


def put(location: str, file: BinaryIO) -> None:
    """Write an object that is not there yet, in parts where it is long. Raises `FileExistsError`, `BucketError`.

    Of several under one name that are written at the same moment the first one stays; of long ones the last, for a
    condition (`If-None-Match`) belongs to one request.
    """
    import obstore

    store, key = _store_and_key(location)
    if look(location) is not None:
        raise _taken()
    with _told():
        if file.seek(0, io.SEEK_END) <= WRITE_AT_ONCE:
            with suppress(NotImplementedError):  # AWS_CONDITIONAL_PUT=disabled
                file.seek(0)
                obstore.put(store, key, file, mode="create")
                return
        file.seek(0)
        obstore.put(store, key, file)


def remove(location: str) -> None:
    """Remove an object, if it is there. Raises `BucketError`."""
    import obstore

    store, key = _store_and_key(location)
    with _told():
        try:
            obstore.delete(store, key)
        except FileNotFoundError:
            return


def _taken() -> FileExistsError:
    return FileExistsError(errno.EEXIST, "there is an object of that name")


class _Object(io.RawIOBase):
    """An object as a raw file: every read is a request for a range of the version that was found."""

    def __init__(self, location: str, size: int, etag: str) -> None:
        self._store, self._key = _store_and_key(location)
        self._size, self._etag, self._at = size, etag, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        import obstore

        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        options: Any = {"range": (self._at, end)}
        if self._etag:
            options["if_match"] = self._etag
        with _told():
            try:
                read = obstore.get(self._store, self._key, options=options).bytes()
            except FileNotFoundError:
                raise ChangedError from None
        buffer[: len(read)] = read
        self._at += len(read)
        return len(read)


@contextmanager
def _told() -> Iterator[None]:
    """What obstore raises, as `OSError`: its own texts name hosts and keys."""
    from obstore import exceptions

    try:
        yield
    except exceptions.AlreadyExistsError:
        raise _taken() from None
    except exceptions.PreconditionError:
        raise ChangedError from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise BucketError(errno.EACCES, "the bucket does not let us in") from None
    except (exceptions.BaseError, TimeoutError, ConnectionError):
        raise BucketError(errno.EIO, "the bucket does not answer as it should") from None


def _store_and_key(location: str) -> tuple[S3Store, str]:
    bucket, _, key = location.removeprefix(SCHEME).partition("/")
    return _store(bucket, os.environ.get("AWS_ENDPOINT_URL", "")), key


@lru_cache(maxsize=8)
def _store(bucket: str, endpoint: str) -> S3Store:
    """Remembered with its connections; of this process alone."""
    try:
        from obstore.store import S3Store
    except ImportError:
        raise SettingsError(
            ["DIALER_UPLOADS names an S3 bucket, which needs one more package: pip install 'dialer[s3]'."]
        ) from None
    if not bucket:
        raise SettingsError(["DIALER_UPLOADS must name a bucket, such as s3://bucket/prefix."])
    options: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
    return S3Store(
        bucket, client_options=options, retry_config={"max_retries": TRIES, "retry_timeout": TRIED_FOR}
    )

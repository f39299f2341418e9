"""Plays how MTT takes files that calls between two people may play (`mtt-telecom-api.md`, setCallBackPrompt), strictly,
in memory: an address to send the file to, and one that tells what becomes of it.

The end of a file's name before its extension is trouble as that of a number: …07 has waited too long for the file, …17
cannot be loaded, …19 is an internal error.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.mtt_rpc import INVALID_PARAMS, NOT_FOUND, PERMISSION_DENIED, Handler, RpcError, named
from dialer.sandbox.outcomes import Answer, Ending, Fate, fate_of

HOST = "https://fuds1.mtt.ru"
LARGEST = 1_048_576
LONGEST_NAME = 255
SECONDS_TO_LOAD = 0.5
FORMATS = {"aif": ["audio/x-aiff", "audio/aiff"], "mp3": ["audio/mpeg"], "wav": ["audio/x-wav", "audio/wav"]}


@dataclass(slots=True)
class Upload:
    """A file that was announced; `status` once it has come and could not be taken."""

    customer: tuple[str, str]  # login and customer_name
    file_name: str
    content: bytes = field(default=b"", repr=False)
    ready_at: float | None = None
    error: str = ""

    def status(self) -> str:
        """What becomes of it, in MTT's words."""
        if self.error:
            return self.error
        if self.fate.answer is Answer.SILENCE:
            return "error_timeout"
        if self.ready_at is None:
            return "wait_client_upload"
        if time.monotonic() < self.ready_at:
            return "wait_upload"
        return "error_upload" if self.fate.ending is Ending.TTS_FAILURE else "ok"

    @property
    def fate(self) -> Fate:
        """What its name says of it."""
        return fate_of(self.file_name.rpartition(".")[0])


class MttPrompts:
    """The files of all customers."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._uploads: dict[str, Upload] = {}

    def handlers(self) -> dict[str, Handler]:
        """The methods by name."""
        return {"setCallBackPrompt": self.announce, "getCallBackPromptInfo": self.listed}

    def announce(self, user: str, params: Any) -> Any:
        """setCallBackPrompt. A customer whose name ends in 18 is another's."""
        given = named(params, {"customer_name": str, "file_name": str})
        customer = given["customer_name"]
        if len(given["file_name"]) > LONGEST_NAME:
            raise RpcError(INVALID_PARAMS, "Unknown param 'file_name' value")
        if fate_of(customer).answer is Answer.INVALID_DATA:
            raise RpcError(PERMISSION_DENIED, "agent does not have access to this customer")
        upload_id = secrets.token_hex(16)
        self._uploads[upload_id] = Upload((user, customer), given["file_name"])
        return {
            "uploadURL": f"{HOST}/upload/{upload_id}",
            "statusURL": f"{HOST}/status/{upload_id}",
            "maxsize": LARGEST,
            "accepted_formats": FORMATS,
        }

    def listed(self, user: str, params: Any) -> Any:
        """getCallBackPromptInfo."""
        customer = named(params, {"customer_name": str})["customer_name"]
        if fate_of(customer).ending is Ending.INVALID_NUMBER:
            raise RpcError(NOT_FOUND, "Error on get CallBack Prompt Info")
        theirs = [one for one in self._uploads.values() if one.customer == (user, customer)]
        today = datetime.now(UTC).strftime("%d.%m.%Y")
        ready = [one.file_name for one in theirs if one.status() == "ok"]
        return [{"file_name": name, "date_upload": today} for name in dict.fromkeys(ready)]

    async def upload(self, request: Request) -> Response:
        """The POST of a file's content, and nothing else."""
        upload = self._uploads.get(request.path_params["id"])
        if upload is None:
            return JSONResponse({"status": "error_not_found"})
        if upload.status() != "wait_client_upload":
            return JSONResponse({"status": "error_invalid_state"})
        if upload.fate.answer is Answer.INTERNAL_ERROR:
            return JSONResponse({"status": "error_internal"})
        upload.content = await request.body()
        if len(upload.content) > LARGEST:
            upload.error = "error_maxfilesize"
        elif upload.file_name.rpartition(".")[2].lower() not in FORMATS or not upload.content:
            upload.error = "error_fileformat"
        else:
            upload.ready_at = time.monotonic() + SECONDS_TO_LOAD * self._callbacks.time_scale
        return JSONResponse({"status": upload.error or "wait_porta_upload"})

    async def status(self, request: Request) -> Response:
        """The GET that tells what becomes of it."""
        upload = self._uploads.get(request.path_params["id"])
        return JSONResponse({"status": "error_not_found" if upload is None else upload.status()})

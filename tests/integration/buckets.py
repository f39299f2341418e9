"""A server that speaks S3 on loopback, and a bucket in it: uploads in a bucket are tested against it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "calls-bucket"


@contextmanager
def bucket(patch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty bucket; the environment names its server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "id")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    try:
        client.create_bucket(Bucket=BUCKET)
        yield client
    finally:
        client.close()
        server.stop()

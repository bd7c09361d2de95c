"""Which S3 server runs: a MinIO on PATH or named, else moto. Also makes clients and buckets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.process import HOST, Program, StackError, answers_http, free_port, module

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_s3 import S3Client

PORT = "TIDELINE_S3_PORT"
MINIO = "TIDELINE_MINIO"
"""Path of a minio binary, where it is not on PATH."""
USER, PASSWORD = "tideline", "tideline-stand-in"
REGION = "us-east-1"


def program(directory: Path, environ: Mapping[str, str], port: int | None = None) -> Program:
    """The server for this environment, with its objects under `directory`.

    Raises:
        StackError: A binary is named that is not there.
    """
    minio = named_binary(MINIO, environ) or shutil.which("minio", path=environ.get("PATH", ""))
    if minio:
        return _minio(minio, directory, port)
    return Program(
        "s3",
        lambda number: module("devstack.s3_server", "--port", str(number), "--directory", str(directory)),
        lambda number: answers_http(number, "/"),
        {"MALLOC_ARENA_MAX": "2"},  # moto copies bodies in many threads, and each arena keeps its own
        port,
        PORT,
    )


def _minio(binary: str, directory: Path, port: int | None) -> Program:
    directory.mkdir(parents=True, exist_ok=True)

    def command(number: int) -> list[str]:
        console = f"{HOST}:{free_port()}"
        return [
            binary,
            "server",
            str(directory),
            "--address",
            f"{HOST}:{number}",
            "--console-address",
            console,
        ]

    environment = {
        "MINIO_ROOT_USER": USER,
        "MINIO_ROOT_PASSWORD": PASSWORD,
        "MINIO_BROWSER": "off",
        "MINIO_CI_CD": "1",
        "MINIO_UPDATE": "off",
        "HOME": str(directory),
    }
    ready = "/minio/health/ready"
    return Program("minio", command, lambda n: answers_http(n, ready), environment, port, PORT)


def named_binary(variable: str, environ: Mapping[str, str]) -> str | None:
    """The binary that a variable names; None where it is not set.

    Raises:
        StackError: There is no such file.
    """
    named = environ.get(variable)
    if named and not Path(named).is_file():
        raise StackError(f"{variable} names {named}, which is no file", remedy=f"correct or unset {variable}")
    return named or None


def client(port: int) -> S3Client:
    """A client of the server on that port, with short time-outs, past any proxy."""
    import boto3
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=60,
        retries={"max_attempts": 2},
        proxies={},
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{HOST}:{port}",
        region_name=REGION,
        aws_access_key_id=USER,
        aws_secret_access_key=PASSWORD,
        config=config,
    )


def make_buckets(port: int, names: Iterable[str]) -> None:
    """Create buckets on the server on that port."""
    s3 = client(port)
    for name in dict.fromkeys(names):
        s3.create_bucket(Bucket=name)
    s3.close()

"""Which MongoDB server runs: mongo-java-server where its jars are named, a mongod on PATH, else ours."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.process import HOST, Program, StackError, module

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = "TIDELINE_MONGODB_PORT"
JARS = "TIDELINE_MONGO_JAVA"
"""A folder with the jars of de.bwaldvogel:mongo-java-server and what it depends on."""
_MAIN = Path(__file__).parents[1] / "mongo" / "java" / "MongoJavaServer.java"


def program(directory: Path, environ: Mapping[str, str], port: int | None = None) -> Program:
    """The server for this environment; `directory` is where a mongod keeps its files.

    Raises:
        StackError: Jars are named that are not there, or there is no Java for them.
    """
    jars, mongod = environ.get(JARS), shutil.which("mongod", path=environ.get("PATH", ""))
    if jars:
        return _java(Path(jars), environ, port)
    if mongod:
        return _mongod(mongod, directory, port)
    return Program(
        "mongodb",
        lambda number: module("devstack.mongo_server", "--port", str(number)),
        _answers,
        port=port,
        port_variable=PORT,
    )


def _mongod(binary: str, directory: Path, port: int | None) -> Program:
    directory.mkdir(parents=True, exist_ok=True)
    flags = ["--dbpath", str(directory), "--bind_ip", HOST, "--nounixsocket", "--quiet"]
    return Program(
        "mongod",
        lambda number: [binary, "--port", str(number), *flags],
        _answers,
        port=port,
        port_variable=PORT,
    )


def _java(jars: Path, environ: Mapping[str, str], port: int | None) -> Program:
    java = shutil.which("java", path=environ.get("PATH", ""))
    if java is None or not any(jars.glob("mongo-java-server-*.jar")):
        missing = "there is no java on PATH" if java is None else f"{jars} holds no mongo-java-server jar"
        raise StackError(f"{JARS} is set, but {missing}", remedy=f"install it, or unset {JARS}")
    flags = ["-Xmx768m", "-cp", f"{jars}/*", str(_MAIN)]
    return Program(
        "mongo-java-server",
        lambda number: [java, *flags, str(number)],
        _answers,
        port=port,
        port_variable=PORT,
    )


def _answers(port: int) -> bool:
    from pymongo import MongoClient

    with MongoClient[dict[str, object]](HOST, port, serverSelectionTimeoutMS=500) as client:
        return bool(client.admin.command("ping")["ok"])

"""Child processes that are ready at once: one warmed process that forks, runs a step and really dies.

A `Zygote` has imported everything and made the clients that take long; each `start` forks it (milliseconds),
and the fork does one order on a lane: the body of a task, with fault points around its I/O (`points`). A child
ends by saying what came out, or by the signal that its order names: SIGKILL is the kernel's, nothing of Python
runs after it. How to use it (fixture `zygote`):

    order = Order(lane, "land", loads, kill="land/raw.put_file[part]/after")
    done = zygote.run(order)             # done.signal == 9, or done.result, or done.error

    child = zygote.start(Order(lane, "merge", refined, hold="merge/bigquery.query[merge]/before"))
    child.await_hold(); ...; child.go(); done = child.wait()

Knows processes and the task bodies (`steps`). The environment plays no part: an order travels through a socket,
and nothing of this is in the product.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena import Lane, Servers

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Order:
    """What a child does.

    Attributes:
        lane: Whose deployment.
        stage: A task's body, or "run" for all four, or "put" for one object of `given` bytes into raw, or "astray"
            for a call that goes round the points.
        given: What the body takes.
        run_id: Of the run, for the ledger.
        kill: The point (`<stage>/<step>/<before or after>`) where it sends `signal` to itself.
        nth: The how manieth time it gets there.
        signal: SIGKILL, or SIGTERM.
        hold: A point where it waits for `Child.go`.
        tidy: Whether SIGTERM raises, as in a task of Airflow; else it ends the process as it is.
        audit: Whether to note network calls outside of points.
    """

    lane: Lane
    stage: str
    given: Any
    run_id: str = "run"
    kill: str | None = None
    nth: int = 1
    signal: int = signal.SIGKILL
    hold: str | None = None
    tidy: bool = False
    audit: bool = False


@dataclass
class Done:
    """How a child ended."""

    points: list[str] = field(default_factory=list)
    """The points that it came by, in order."""
    result: Any = None
    error: str | None = None
    signal: int | None = None
    """What ended it, where it did not end by itself."""
    sent: int = 0
    """How many network calls an audit saw."""
    outside: list[str] = field(default_factory=list)
    """The network calls outside of any point: where they were made."""


class Child:
    """A running child, seen from the test."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._done = Done()
        self._status: int | None = None
        kind, self.pid = receive(connection)
        assert kind == "pid"

    def wait(self, seconds: float = 60.0) -> Done:
        """Until it is over; one that takes longer is killed, and fails the test."""
        while self._status is None:
            self._take(seconds)
        self._connection.close()
        if os.WIFSIGNALED(self._status):
            self._done.signal = os.WTERMSIG(self._status)
        return self._done

    def await_hold(self, seconds: float = 60.0) -> None:
        """Until it waits at its `hold`; fails where it ends without ever getting there."""
        while self._take(seconds) != "held":
            assert self._status is None, f"the child ended before its hold: {self._done}"

    def await_point(self, point: str, times: int = 1, seconds: float = 60.0) -> None:
        """Until it has come by the point so often; fails where it ends before."""
        while self._done.points.count(point) < times:
            self._take(seconds)
            assert self._status is None, f"the child ended before {point}: {self._done}"

    def go(self) -> None:
        """Let it go on from its hold."""
        send(self._connection, ("go", None))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, wherever it is."""
        os.kill(self.pid, number)

    def _take(self, seconds: float) -> str:
        self._connection.settimeout(seconds)
        try:
            kind, value = receive(self._connection)
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(
                f"the child did nothing for {seconds:g} s; came by {self._done.points}"
            ) from None
        if kind == "point":
            self._done.points.append(value)
        elif kind == "exit":
            self._status = value
        elif kind in ("result", "error", "outside", "sent"):
            setattr(self._done, kind, value)
        return str(kind)


class Zygote:
    """The warmed process; a context manager."""

    def __init__(self, servers: Servers) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zygote")
        self._path = str(Path(self._folder.name) / "s")
        path = os.pathsep.join([str(INCLUDE), str(HERE)])
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py"), self._path],
            env={**os.environ, "PYTHONPATH": path, "NO_PROXY": "*"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickle.dumps(servers))
        self._process.stdin.flush()
        self._connections: list[socket.socket] = []
        if self._process.stdout.readline() != b"ready\n":
            self.__exit__()
            raise RuntimeError(f"the zygote ended with {self._process.returncode}; its error is above")

    def start(self, order: Order) -> Child:
        """Fork a child that does it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connections.append(connection)
        connection.connect(self._path)
        send(connection, order)
        return Child(connection)

    def run(self, order: Order, seconds: float = 60.0) -> Done:
        """Fork a child that does it, and wait for its end."""
        return self.start(order).wait(seconds)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for connection in self._connections:
            connection.close()
        self._process.stdin.close()  # the zygote ends with its test process, however that ends
        self._process.wait(10)
        self._process.stdout.close()
        self._folder.cleanup()


def send(connection: socket.socket, value: object) -> None:
    """One frame: a length, then a pickle."""
    body = pickle.dumps(value)
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket) -> Any:
    """Undo `send`."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return pickle.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    body = b""
    while len(body) < size:
        piece = connection.recv(size - len(body))
        if not piece:
            raise EOFError("the other end is gone")
        body += piece
    return body


# --- in the zygote --------------------------------------------------------------------------------------------


def serve(path: str) -> None:
    """Fork a child for each connection until standard input ends, and say how each ended."""
    warm(pickle.load(sys.stdin.buffer))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    children: dict[int, socket.socket] = {}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        ready, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in ready:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            return
        if listener in ready:
            connection, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                live(connection)
            children[pid] = connection
        if woken in ready:
            os.read(woken, 4096)
            _reap(children)


def warm(servers: Servers) -> None:
    """Import what tasks import and make what takes long; nothing is connected and no thread is started."""
    import arena
    import points  # noqa: F401
    import pymongo  # noqa: F401

    import tideline

    for module in pkgutil.walk_packages(tideline.__path__, "tideline."):
        if not module.name.startswith(("tideline.cli", "tideline.connections", "tideline.health")):
            importlib.import_module(module.name)
    arena.s3_client(servers.s3)
    arena.bigquery_client(servers.bigquery)
    gc.collect()
    gc.freeze()


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with closing(children.pop(pid)) as connection:
            send(connection, ("exit", status))


def live(connection: socket.socket) -> None:
    """A child's whole life; never returns."""
    status = 0
    try:
        order: Order = receive(connection)
        send(connection, ("pid", os.getpid()))
        Life(connection, order).do()
    except BaseException:  # noqa: BLE001  whatever it was, the test wants to know
        send(connection, ("error", traceback.format_exc()))
        status = 3
    os._exit(status)


class Life:
    """What a child does with its order."""

    def __init__(self, connection: socket.socket, order: Order) -> None:
        self._connection, self._order = connection, order
        self._stage = order.stage
        self._hits = 0
        self._held = False
        self._sent = 0
        self._outside: list[str] = []
        self._lock = threading.Lock()
        if order.tidy:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        if order.audit:
            self._watch_sockets()

    def do(self) -> None:
        """The body, inside the deployment with points."""
        import points

        with self._order.lane.deployment() as deployment:
            result = self._body(points.wrapped(deployment, self._at))
        send(self._connection, ("outside", self._outside))
        send(self._connection, ("sent", self._sent))
        send(self._connection, ("result", result))

    def _body(self, deployment: Any) -> Any:
        import steps

        order = self._order
        if order.stage == "put":
            return deployment.raw.put_file("big/object", _Body(order.given, self._at)).bytes
        if order.stage == "astray":
            return deployment.raw._store.exists("nothing")
        if order.stage != "run":
            return steps.one(deployment, order.stage, order.given, order.run_id)
        self._stage = "plan"
        (given,) = steps.plan(deployment, order.given).values()
        for self._stage in steps.STAGES[1:]:
            given = steps.one(deployment, self._stage, given, order.run_id)
        return given

    def _at(self, name: str) -> None:
        point = f"{self._stage}/{name}"
        with self._lock:
            send(self._connection, ("point", point))
            self._hits += point == self._order.kill
            if point == self._order.kill and self._hits == self._order.nth:
                os.kill(os.getpid(), self._order.signal)
                signal.sigtimedwait([], 5) if self._order.signal == signal.SIGKILL else None
            if point == self._order.hold and not self._held:
                self._held = True
                send(self._connection, ("held", point))
                assert receive(self._connection)[0] == "go"

    def _watch_sockets(self) -> None:
        """Note who sends bytes to another process outside of a point; MongoDB's monitors only say hello."""
        import points

        def watched(name: str) -> Any:
            original = getattr(socket.socket, name)

            def send_bytes(sock: socket.socket, *given: Any) -> Any:
                monitor = threading.current_thread().name.startswith("pymongo_")
                counts = sock.family != socket.AF_UNIX and not monitor
                self._sent += counts
                if counts and not points.is_inside():
                    self._outside.append("".join(traceback.format_stack(limit=12)))
                return original(sock, *given)

            return send_bytes

        for name in ("send", "sendall", "sendmsg"):
            setattr(socket.socket, name, watched(name))


class _Body:
    """So many bytes that come in pieces, with a point before each."""

    def __init__(self, size: int, at: Any) -> None:
        self._left, self._at = size, at

    def read(self, size: int) -> bytes:
        self._at("body.read/before")
        piece = min(self._left, size, 1 << 20)
        self._left -= piece
        return bytes(piece)


if __name__ == "__main__":
    # the orders' classes are those of the module `zygote`, not of `__main__`
    import zygote

    zygote.serve(sys.argv[1])

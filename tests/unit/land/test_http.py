"""One request with all its troubles: retries within bounds, redirects, credentials, bodies that break."""

from __future__ import annotations

import base64
import gzip
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from certificates import self_signed
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.errors import (
    ContractError,
    RetriableError,
    SettingsError,
    SourceRefusedError,
    SourceUnavailableError,
)
from tideline.lake.retry import Patience
from tideline.land.http import HttpSession
from tideline.land.http_replies import wait_of

DATE = "Sat, 31 Jan 2026 12:00:00 GMT"


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self):
        self.now = 0.0
        self.naps = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds

    def patience(self, attempts=4):
        return Patience(attempts=attempts, sleep=self.sleep, clock=self, chance=lambda: 0.0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_session(site, patience):
    """Makes sessions and closes them."""
    made = []

    def make(base_url=None, **options):
        options.setdefault("patience", patience)
        made.append(HttpSession(base_url or site.url, read_seconds=options.pop("read_seconds", 5), **options))
        return made[-1]

    yield make
    for session in made:
        session.close()


def test_gives_status_headers_and_body_as_sent(session, site, reply):
    site.script = [reply(body=b'[{"a": "\xc3\xa9"}]\r\n ', headers={"ETag": '"1"', "X-Total-Count": "1"})]

    answer = session.get(session.url_of("/posts", {"q": "a b&ü"}))

    assert (answer.status, answer.body) == (200, b'[{"a": "\xc3\xa9"}]\r\n ')
    assert (answer.headers["etag"], answer.headers["x-total-count"]) == ('"1"', "1")
    assert site.paths == ["/posts?q=a+b%26%C3%BC"]
    sent = site.requests[0][1]
    assert (sent["accept-encoding"], sent["cache-control"]) == ("identity", "no-cache")
    assert "authorization" not in sent


def test_a_header_of_the_connection_takes_the_place_of_ours_however_it_is_spelt(make_session, site, reply):
    sent = []
    site.answer = lambda path, headers: sent.append(headers) or reply(body=b"[]")
    session = make_session(headers={"accept": "text/json", "CACHE-CONTROL": "max-age=60"})

    session.get(session.url_of("/posts"))

    assert [sent[0].get_all(name) for name in ("Accept", "Cache-Control")] == [["text/json"], ["max-age=60"]]


def test_connections_are_kept_alive(session, site, reply):
    site.answer = lambda path, headers: reply([])
    for _ in range(5):
        session.get(session.url_of("/a"))
    pool = session._pools.of(site.url).connection_from_url(site.url)
    assert (pool.num_requests, pool.num_connections) == (5, 1)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_what_may_pass_is_tried_again(session, site, reply, naps, status):
    site.script = [reply(status=status), reply(status=status), reply([1])]

    assert session.get(session.url_of("/a")).body == b"[1]"
    assert naps == [0.25, 0.5]


BROKEN = {
    "reset before the reply": b"",
    "reset in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP at all": b"SSH-2.0-OpenSSH\r\n",
    "body shorter than claimed": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2",
    "chunk cut off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
    "last chunk missing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n",
    "gzip that is none": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n[1]",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_a_reply_that_breaks_is_asked_for_again(session, site, reply, naps, raw):
    site.script = [reply(raw=raw), reply([1])]

    def look(answer):
        if answer.body != b"[1]":
            raise SourceUnavailableError("cut")
        return "seen"

    answer, seen = session.fetch(session.url_of("/a"), look)

    assert (answer.body, seen) == (b"[1]", "seen")
    assert naps == [0.25]


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_a_reply_that_keeps_breaking_is_given_up(session, site, reply, naps, raw):
    site.answer = lambda path, headers: reply(raw=raw)

    def look(answer):
        raise SourceUnavailableError("cut")

    with pytest.raises(SourceUnavailableError):
        session.fetch(session.url_of("/a"), look)
    assert len(naps) == 3


def test_chunks_and_compression_are_undone(session, site, reply):
    body = gzip.compress(b"[1]")
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    site.script = [reply(body=chunked, headers={"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"})]

    assert session.get(session.url_of("/a")).body == b"[1]"


@pytest.mark.parametrize("names", ["compress", "gzip, X-Compress"])
def test_a_compression_that_cannot_be_undone_is_named(session, site, reply, naps, names):
    site.script = [reply(body=b"\x1f\x9d", headers={"Content-Encoding": names})]

    with pytest.raises(SourceRefusedError, match=r"compressed by (x-)?compress") as refused:
        session.get(session.url_of("/a"))
    assert "plain or gzip" in refused.value.remedy
    assert naps == []


def test_an_encoding_that_is_no_compression_is_passed_over(session, site, reply):
    site.script = [reply(body=b"[1]", headers={"Content-Encoding": "aws-chunked"})]

    assert session.get(session.url_of("/a")).body == b"[1]"


def test_a_server_that_is_not_there_is_unavailable(make_session, naps):
    session = make_session("http://127.0.0.1:1")

    with pytest.raises(SourceUnavailableError, match="refused") as raised:
        session.get(session.url_of("/a"))

    assert raised.value.place == "http://127.0.0.1:1/a"
    assert len(naps) == 3


def test_a_name_that_nobody_knows_is_unavailable(make_session):
    session = make_session("http://no-such-host.invalid", proxies={})

    with pytest.raises(SourceUnavailableError, match="Remedy"):
        session.get(session.url_of("/a"))


def test_a_silent_server_is_given_up(make_session, site, reply, naps):
    site.answer = lambda path, headers: site.stop.wait(5) and reply([])
    session = make_session(read_seconds=0.05)

    with pytest.raises(SourceUnavailableError, match=r"timed out|took longer"):
        session.get(session.url_of("/a"))

    assert len(naps) == 3


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\n", b""],
    ids=["in the headers", "in the status line"],
)
def test_a_head_that_trickles_is_cut(make_session, site, reply, start):
    """Each byte comes within the socket's time-out; the head as a whole does not."""
    trickle = b"HTTP/1.1 200 OK " * 500 if not start else b"X-Slow: " + b"a" * 5000
    site.answer = lambda path, headers: reply(raw=start, trickle=trickle)
    session = make_session(read_seconds=0.2)

    with pytest.raises(SourceUnavailableError):
        session.get(session.url_of("/a"))


def test_a_body_that_trickles_is_cut_at_the_deadline(make_session, site, reply):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    site.answer = lambda path, headers: reply(raw=head, trickle=b"[" * 10_000)
    session = make_session(deadline_seconds=0.3, patience=Patience(attempts=50))

    with pytest.raises(SourceUnavailableError, match="deadline passed after"):
        session.get(session.url_of("/a"))

    assert len(site.requests) == 1


CHUNKED = b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "a chunk's header": (CHUNKED % 200 + b"2;", b"x"),
    "the trailers": (CHUNKED % 200 + b"2\r\n[]\r\n0\r\n", b"X: y\r\n"),
    "a gzip stream's header": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03", b"n"
    ),
    "empty gzip streams": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
    "a body without a length": (b"HTTP/1.1 200 OK\r\n\r\n[]", b" "),
    "what an error says": (CHUNKED % 404 + b"2;", b"x"),
}  # fmt: skip


@pytest.mark.parametrize(("start", "rest"), ENDLESS.values(), ids=ENDLESS)
def test_what_trickles_around_a_body_is_cut_at_the_deadline(make_session, site, reply, start, rest):
    """What asks for the next bytes of the body does not come back, for each byte comes in time."""
    site.answer = lambda path, headers: reply(raw=start, trickle=rest * (6_000 // len(rest)))
    session = make_session(deadline_seconds=0.3, patience=Patience(attempts=50))

    with pytest.raises(SourceUnavailableError, match="deadline passed after"):
        session.get(session.url_of("/a"))

    assert len(site.requests) == 1


RETRY_AFTER = {
    "seconds": ({"Retry-After": "7"}, 7.0),
    "zero": ({"Retry-After": "0"}, 0.25),
    "date": ({"Retry-After": "Sat, 31 Jan 2026 12:00:09 GMT", "Date": DATE}, 9.0),
    "past date": ({"Retry-After": "Sat, 31 Jan 2026 11:00:00 GMT", "Date": DATE}, 0.25),
    "absent": ({}, 0.25),
    "garbage": ({"Retry-After": "soon"}, 0.25),
    "negative": ({"Retry-After": "-5"}, 0.25),
    "absurd": ({"Retry-After": "999999999999"}, 90.0),
    "absurd date": ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": DATE}, 90.0),
    "no digits that int knows": ({"Retry-After": "9" * 5000}, 90.0),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("headers", "nap"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_the_wait_that_a_server_asks_for_is_kept_within_the_deadline(
    make_session, site, reply, clock, status, headers, nap
):
    site.script = [reply(raw=_raw_reply(status, headers)), reply([1])]
    session = make_session(patience=clock.patience(), deadline_seconds=100.0)

    assert session.get(session.url_of("/a")).body == b"[1]"
    assert clock.naps == [pytest.approx(nap)]


def _raw_reply(status, headers):
    lines = [f"HTTP/1.1 {status} No", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "Content-Length: 0", "", ""]).encode()


@settings(deadline=None)
@given(
    waits=st.lists(
        st.one_of(st.none(), st.integers(0, 10**12).map(str), st.text("0123456789 -:GMTFri", max_size=12)),
        min_size=1,
        max_size=6,
    ),
    attempts=st.integers(1, 6),
    deadline=st.floats(0.5, 500),
)
def test_attempts_and_waits_are_bounded_whatever_the_server_asks_for(waits, attempts, deadline):
    clock = Clock()
    session = HttpSession("http://api.invalid", patience=clock.patience(attempts), deadline_seconds=deadline)
    asked = []

    def busy(url, etag, budget):
        wait = waits[len(asked) % len(waits)]
        asked.append(url)
        error = SourceUnavailableError("busy")
        if wait is not None:
            from tideline.land.http_replies import BusyError

            error = BusyError("busy")
            error.seconds = wait_of({"retry-after": wait})
        raise error

    session._follow = busy
    with pytest.raises(SourceUnavailableError):
        session.get("http://api.invalid/a")

    assert len(asked) <= attempts
    assert sum(clock.naps) <= deadline


def test_an_api_that_stays_busy_is_given_up_with_what_it_said(session, site, reply, naps):
    site.answer = lambda path, headers: reply(status=429, body=b"<h1>slow\n down</h1>")

    with pytest.raises(SourceUnavailableError, match="status 429: <h1>slow down</h1>"):
        session.get(session.url_of("/a"))

    assert len(site.requests) == 4


@pytest.mark.parametrize("headers", [{"Retry-After": "3"}, {"X-RateLimit-Remaining": "0"}])
def test_a_403_that_is_a_rate_limit_is_tried_again(session, site, reply, naps, headers):
    site.script = [reply(status=403, headers=headers), reply([1])]

    assert session.get(session.url_of("/a")).body == b"[1]"
    assert len(naps) == 1
    assert naps[0] >= (3 if "Retry-After" in headers else 0.25)


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "user and password"),
        (403, "read the endpoint"),
        (404, "correct the path"),
        (410, "gone for good"),
    ]
    + [(status, "catalog") for status in (400, 405, 406, 409, 422, 451, 201, 204, 206, 304, 501, 505)],
)
def test_what_does_not_pass_is_refused_at_once(session, site, reply, naps, status, hint):
    site.script = [reply(status=status, body=b"" if status in (204, 304) else b"because")]

    with pytest.raises(SourceRefusedError, match=f"status {status}") as refused:
        session.get(session.url_of("/a"))

    assert hint in refused.value.remedy
    assert refused.value.place == site.url + "/a"
    assert naps == []


def test_an_etag_is_sent_and_its_304_is_no_body(session, site, reply):
    site.script = [reply(status=304, headers={"ETag": '"1"'})]

    answer, seen = session.fetch(session.url_of("/a"), lambda answer: "looked", etag='"1"')

    assert answer.is_unchanged
    assert seen is None
    assert site.requests[0][1]["if-none-match"] == '"1"'


def test_a_body_over_the_limit_is_refused(make_session, site, reply):
    site.answer = lambda path, headers: reply(body=b"x" * 100_001)

    assert len(make_session(body_limit_bytes=100_001).get(site.url + "/a").body) == 100_001
    with pytest.raises(ContractError, match="larger than 100000 bytes"):
        make_session(body_limit_bytes=100_000).get(site.url + "/a")


def test_redirects_within_the_host_are_followed(make_session, site, reply):
    session = make_session(auth=("user", "päss:word"))
    site.script = [
        reply(status=301, headers={"Location": "/b"}, body=b"moved" * 100),
        reply(status=307, headers={"Location": site.url + "/c?x=1"}),
        reply(status=308, headers={"Location": "d"}),
        reply([1]),
    ]

    answer = session.get(session.url_of("/a"))

    assert (answer.url, answer.body) == (site.url + "/d", b"[1]")
    assert site.paths == ["/a", "/b", "/c?x=1", "/d"]
    wanted = "Basic " + base64.b64encode("user:päss:word".encode("latin-1")).decode()
    assert {sent["authorization"] for _, sent in site.requests} == {wanted}


def test_a_password_beyond_latin_1_is_sent_as_utf_8(make_session, site, reply):
    site.script = [reply([1])]
    make_session(auth=("łukasz", "пароль€")).get(site.url + "/a")
    wanted = "Basic " + base64.b64encode("łukasz:пароль€".encode()).decode()
    assert {sent["authorization"] for _, sent in site.requests} == {wanted}


def test_redirects_end(session, site, reply):
    site.answer = lambda path, headers: reply(status=302, headers={"Location": path + "x"})

    with pytest.raises(SourceRefusedError, match="more than 3 redirects"):
        session.get(session.url_of("/a"))

    assert len(site.requests) == 4


def test_a_redirect_to_nowhere_is_refused(session, site, reply):
    site.script = [reply(status=302)]

    with pytest.raises(SourceRefusedError, match="status 302"):
        session.get(session.url_of("/a"))


@pytest.mark.parametrize(
    "options", [{"auth": ("u", "p")}, {"headers": {"X-Api-Key": "k"}}], ids=["auth", "key"]
)
def test_credentials_never_go_to_another_host(make_session, site, other_site, reply, options):
    session = make_session(**options)
    site.script = [reply(status=302, headers={"Location": other_site.url + "/steal?secret=1"})]

    with pytest.raises(SourceRefusedError, match="credentials must not go") as refused:
        session.get(session.url_of("/a"))

    assert other_site.requests == []
    assert "secret" not in str(refused.value)


def test_credentials_never_go_from_an_encrypted_to_an_open_door(make_session):
    session = make_session("https://api.invalid", auth=("u", "p"))

    with pytest.raises(SourceRefusedError):
        session._checked("https://api.invalid/a", "http://api.invalid/a")
    assert session._checked("http://api.invalid/a", "https://api.invalid/b") == "https://api.invalid/b"
    with pytest.raises(SourceRefusedError):
        session._checked("http://api.invalid/a", "https://api.invalid:8443/b")


def test_without_credentials_another_host_is_fine(session, site, other_site, reply):
    site.script = [reply(status=302, headers={"Location": other_site.url + "/b"})]
    other_site.script = [reply([1])]

    assert session.get(session.url_of("/a")).url == other_site.url + "/b"


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/a", "file:///etc/passwd", "http://h:99999/", "http://[x"]
)
def test_other_protocols_are_never_followed(session, site, reply, target):
    site.script = [reply(status=302, headers={"Location": target})]

    with pytest.raises(SourceRefusedError):
        session.get(session.url_of("/a"))


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("?page=2", "https://api.invalid/v1/a?page=2"),
        ("/v1/a?page=2", "https://api.invalid/v1/a?page=2"),
        ("http://api.invalid/v1/a?page=2#top", "https://api.invalid/v1/a?page=2"),
        ("http://api.invalid:8080/v1/a?page=2", "https://api.invalid/v1/a?page=2"),
    ],
)
def test_links_of_the_own_host_keep_our_scheme_and_port(make_session, target, url):
    """The public JSONPlaceholder links to http:// from https://."""
    session = make_session("https://api.invalid/v1", auth=("u", "p"))

    assert session.link("https://api.invalid/v1/a?page=1", target) == url


def test_links_to_another_host_are_refused_where_credentials_would_go(make_session):
    with pytest.raises(SourceRefusedError):
        make_session("https://api.invalid", auth=("u", "p")).link(
            "https://api.invalid/a", "https://else.invalid/"
        )
    assert (
        make_session("https://api.invalid").link("https://api.invalid/a", "https://b.invalid/")
        == "https://b.invalid/"
    )


@pytest.mark.parametrize(
    ("base", "path", "parameters", "url"),
    [
        ("http://h", "/a", {}, "http://h/a"),
        ("http://h/", "a", {"x": "1"}, "http://h/a?x=1"),
        ("http://h/v1/", "/a/b", None, "http://h/v1/a/b"),
        ("http://h/v1", "", {"x": "1"}, "http://h/v1?x=1"),
        ("http://h", "/a?y=2", {"x": "1"}, "http://h/a?y=2&x=1"),
        ("http://h/v1/?key=k#top", "/a", {"x": "1"}, "http://h/v1/a?x=1"),
        ("http://h?key=k", "/a?y=2", None, "http://h/a?y=2"),
    ],
)
def test_urls_are_joined(make_session, base, path, parameters, url):
    assert make_session(base).url_of(path, parameters) == url


@pytest.mark.parametrize(
    ("query", "url", "sent"),
    [
        ("key=k", "/a", "/a?key=k"),
        ("key=k&v=2", "/a?x=1", "/a?key=k&v=2&x=1"),
        ("key=k%20&v=2", "/a?v=3&x", "/a?key=k%20&v=3&x"),
        ("key=k", "/a?key=mine", "/a?key=mine"),
    ],
)
def test_the_query_of_the_base_url_is_sent_and_not_shown(make_session, site, reply, query, url, sent):
    session = make_session(f"{site.url}/v1?{query}")
    site.script = [reply([])]

    answer = session.get(site.url + url)

    assert (session.base_url, answer.url) == (f"{site.url}/v1", site.url + url)
    assert site.requests[0][0] == sent


def test_the_query_of_the_base_url_is_in_no_error(make_session, site, reply):
    session = make_session(f"{site.url}?key=s3cret")
    for status in (401, 404):
        site.script = [reply(status=status)]
        with pytest.raises(SourceRefusedError) as caught:
            session.get(session.url_of("/a"))
        assert "s3cret" not in str(caught.value)


def test_the_query_of_the_base_url_goes_along_links_and_redirects_of_its_own_host_only(
    make_session, site, reply
):
    session = make_session(f"{site.url}?key=k+1")
    page = session.link(f"{site.url}/a", "?page=2")
    assert page == session.link(f"{site.url}/a", "/a?key=k%201&page=2") == f"{site.url}/a?page=2"

    elsewhere = site.url.replace("127.0.0.1", "localhost")
    site.script = [
        reply(status=302, headers={"Location": "/b?key=k+1"}),
        reply(status=302, headers={"Location": f"{elsewhere}/c"}),
        reply([]),
    ]
    assert session.get(page).url == f"{elsewhere}/c"
    assert [path for path, _ in site.requests] == ["/a?key=k+1&page=2", "/b?key=k+1", "/c"]


def test_a_user_in_the_url_serves_as_credentials_and_is_not_shown(make_session, site, reply):
    session = make_session(site.url.replace("http://", "http://us%40er:p%3Aw@"))
    site.script = [reply([])]

    session.get(session.url_of("/a"))

    assert session.base_url == site.url
    assert site.requests[0][1]["authorization"] == "Basic " + base64.b64encode(b"us@er:p:w").decode()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://h",
        "http://",
        "/path",
        "http://h:99999",
        "http://[::1",
        "http://u:secret@",
    ],
)
def test_a_base_url_that_is_none_is_a_setting(url):
    with pytest.raises(SettingsError, match="https://host") as refused:
        HttpSession(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X\n": "a"}, {"X": "tok\u2026en"}, {"Ü": "a"}], ids=repr
)
def test_headers_that_http_does_not_allow_are_a_setting(headers):
    with pytest.raises(SettingsError, match="header") as refused:
        HttpSession("http://h", headers=headers)
    assert "tok" not in str(refused.value)


class Forward(BaseHTTPRequestHandler):
    """A proxy that answers itself, and says what it was asked."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b'["proxy"')

    def log_message(self, *args):
        pass


@pytest.fixture
def proxy():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.seen = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_environments_proxy_is_used(make_session, proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://us:p%40w@127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("no_proxy", "direct.invalid")

    session = make_session("http://api.invalid")
    session.get(session.url_of("/a"))
    session.get(session.url_of("/b"))

    wanted = "Basic " + base64.b64encode(b"us:p@w").decode()
    assert proxy.seen == [("http://api.invalid/a", wanted), ("http://api.invalid/b", wanted)]
    with pytest.raises(SourceUnavailableError):
        make_session("http://direct.invalid").get("http://direct.invalid/a")
    assert len(proxy.seen) == 2


def test_this_machine_is_reached_directly_even_where_no_proxy_does_not_say_so(
    make_session, site, reply, proxy
):
    proxies = {"http": f"127.0.0.1:{proxy.server_address[1]}"}
    site.script = [reply([])]

    make_session(proxies=proxies).get(site.url + "/a")
    make_session("http://api.invalid", proxies=proxies).get("http://api.invalid/a")

    assert site.paths == ["/a"]
    assert [path for path, _ in proxy.seen] == ["http://api.invalid/a"]
    pools = make_session(proxies=proxies)._pools
    assert all(pools.of(f"http://{host}/") is pools._direct for host in ("localhost", "[::1]", "a.localhost"))


def test_a_proxy_that_is_not_there_is_named(make_session):
    session = make_session("http://api.invalid", proxies={"all": "http://127.0.0.1:1"})

    with pytest.raises(SourceUnavailableError, match="proxy"):
        session.get(session.url_of("/a"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The file of a self-signed certificate."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(self_signed())
    return str(path)


@pytest.fixture
def tls_url(certificate):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_untrusted_certificate_is_a_setting(make_session, tls_url, naps):
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        make_session(tls_url).get(tls_url + "/a")
    assert naps == []


def test_a_certificate_is_trusted_by_file_or_environment_or_not_looked_at(
    make_session, tls_url, certificate, monkeypatch
):
    assert make_session(tls_url, verify=certificate).get(tls_url + "/a").body == b'["proxy"'
    assert make_session(tls_url, verify=False).get(tls_url + "/a").body == b'["proxy"'
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    assert make_session(tls_url).get(tls_url + "/a").body == b'["proxy"'


def test_a_server_without_tls_is_told_from_one_that_is_down(make_session, site):
    """`https` is what a host without a scheme is asked by."""
    url = site.url.replace("http://", "https://")
    with pytest.raises(SourceUnavailableError, match="no TLS with this server") as error:
        make_session(url).get(url + "/a")
    assert "http://" in error.value.remedy


def test_authorities_that_cannot_be_read_are_a_setting(tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (str(tmp_path / "none.pem"), str(broken)):
        with pytest.raises(SettingsError, match="PEM"):
            HttpSession("https://h", verify=path)


def test_a_python_that_knows_no_authorities_uses_certifis(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    from tideline.land.http_pools import tls_context

    assert tls_context(True).cert_store_stats()["x509_ca"] > 50


def test_a_host_that_can_be_none_is_a_setting(make_session):
    session = make_session("http://a..b")

    with pytest.raises(SettingsError, match="host of the connection"):
        session.get(session.url_of("/a"))


def test_a_body_that_the_reader_finds_broken_is_asked_for_again(session, site, reply, naps):
    site.script = [reply(body=b"<html>"), reply([1])]

    def look(answer):
        if answer.body.startswith(b"<"):
            raise RetriableError("HTML")
        return len(answer.body)

    assert session.fetch(session.url_of("/a"), look)[1] == 3
    assert naps == [0.25]

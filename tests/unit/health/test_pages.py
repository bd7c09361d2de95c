"""The pages over a ledger and a lake: what they show, what they say when they cannot, and that text stays text."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient
from memory import deployment, land, refine, things

from tideline.errors import (
    CatalogError,
    ContractError,
    SettingsError,
    StoreUnavailableError,
    WarehouseUnavailableError,
)
from tideline.health import app as health
from tideline.window import Window

pytestmark = pytest.mark.integration
ATTACK = "</pre><script>alert('x')</script>\u202e\"&"
BYTES = ATTACK.replace('"', "'")
"""The same for a CSV field, where a quote would be damage of another kind."""


class Page(HTMLParser):
    """The text and the links of a page; fails on a script or handler that is not ours."""

    def __init__(self, body):
        super().__init__()
        self.words, self.links, self.open = [], [], []
        self.feed(body)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        assert not any(name.startswith("on") for name in given)
        assert "style" not in given
        if tag == "script":
            assert given["src"].endswith("/page.js")
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag not in ("meta", "link", "input", "br", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def client_of():
    """A client of the page over a deployment, or over an error that opening it raises."""

    def make(found):
        @contextmanager
        def opened():
            if isinstance(found, Exception):
                raise found
            yield found

        return TestClient(health.build(opened, []), base_url="http://page.test", root_path="/deep/tideline")

    return make


@pytest.fixture
def made(warehouse, ledger, kit):
    """A load with refusals and drift, a rewind, a read above the threshold, and hostile text everywhere."""
    found = deployment(warehouse, things(quarantine_threshold=0.5, description=ATTACK))
    good = b"id,price,note\n" + b"".join(b"%d,1.00,n\n" % number for number in range(20))
    whole, _ = refine(found, land(found, kit.hours(-2), good + b"x,1.00," + BYTES.encode() + b"\n"))
    ledger.record(
        kit.row(
            -2, dataset="things", window=Window(None, kit.hours(-2)), quarantined=1, reasons={"bad_number": 1},
            quarantine_manifest_uri=whole.details["quarantine_uri"], raw_manifest_uri=whole.details["raw_manifest"],
            drift=[{"path": ATTACK, "kind": "new_field", "count": 2, "example": ATTACK}], run_id="manual__1/2",
            source_count=100, ranges=1,
        )
    )  # fmt: skip
    ledger.record(
        kit.row(
            -1, dataset="things", name="back", mode="rewind", actor=ATTACK, reason="the source was wrong",
            raw_manifest_uri=None, processed_manifest_uri=None, landed=0,
        )
    )  # fmt: skip
    land(found, kit.hours(0), good, start=kit.hours(-1))
    refused = land(found, kit.hours(0), b"id,price,note\n1,much,n\n", start=kit.hours(-1))
    with pytest.raises(ContractError):
        refine(found, refused)
    return found


def page(client, path):
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    for name, value in health.HEADERS.items():
        assert reply.headers[name] == value
    return Page(reply.text)


def links(found, part):
    return [link.removeprefix("/deep/tideline") for link in found.links if part in link]


def test_the_overview_leads_to_everything(client_of, made):
    client = client_of(made)
    overview = page(client, "/")
    assert "things shop" in overview.text
    assert "bad_number" in overview.text
    assert "not merged: too many" in overview.text
    (dataset,) = {link for link in links(overview, "/dataset?") if "#" not in link}
    one = page(client, dataset)
    assert ATTACK.replace("\u202e", "\\u202e") in "".join(one.words)
    assert "the source was wrong" in one.text
    assert "waiting" in one.text
    assert {link.split("verb=")[1].split("&")[0] for link in links(one, "/form?")} == {
        "replay",
        "reconcile",
        "backfill",
    }
    loads = sorted(set(links(one, "/load?")))
    assert len(loads) == 2
    texts = [page(client, load).text for load in loads]
    assert any("at the source" in text and "1.0 s" in text for text in texts)
    for evidence in set(links(one, "/evidence?") + links(overview, "/evidence?")):
        assert "position" in page(client, evidence).text
    for form in links(one, "/form?"):
        assert "Airflow 3.3 does not take" in page(client, form).text


def test_links_lead_out_of_the_frame_to_where_airflow_is_served(client_of, made):
    client = client_of(made)
    form = page(client, "/form?verb=backfill&dataset=shop.things&start=2026-03-14T09:00&end=2026-03-14T10:00")
    assert "/deep/dags/tideline_hourly" in form.links
    assert "2026-03-14T09:00:00Z" in form.text
    (load,) = [
        one for one in links(page(client, "/dataset?dataset=shop.things"), "/load?") if "back" not in one
    ][:1]
    assert "/deep/dags/tideline_hourly/runs/manual__1%2F2" in page(client, load).links


def test_refused_bytes_are_shown_as_text(client_of, made):
    client = client_of(made)
    evidence = set(links(page(client, "/dataset?dataset=shop.things"), "/evidence?load="))
    (load,) = {link for link in evidence if "reason" in link}
    shown = page(client, load.replace("&reason=bad_number", ""))
    assert BYTES.replace("\u202e", "\\u202e") in "".join(shown.words)
    assert "column" not in shown.text
    assert "No sample" in page(client, load.replace("bad_number", "too_deep")).text
    assert links(shown, "verb=refused")


def test_nothing_is_opened_that_no_report_names(client_of, made):
    client = client_of(made)
    for uri in ("s3://quarantine/shop/things/_manifest.json", "s3://raw/x", "/etc/passwd", ""):
        reply = client.get("/evidence", params={"read": uri})
        assert (reply.status_code, "no such evidence" in reply.text) == (404, True)


@pytest.mark.parametrize(
    "path",
    ["/dataset?dataset=shop.nothing", "/load?load=shop.things:x", "/load?load=", "/evidence?load=nothing",
     "/form?verb=drop&dataset=shop.things", "/form?verb=replay&dataset=shop.things&start=soon", "/form?verb=replay&dataset=x"],
)  # fmt: skip
def test_what_is_not_there_is_404_with_words(client_of, made, path):
    reply = client_of(made).get(path)
    assert reply.status_code == 404
    assert "There is nothing to show" in Page(reply.text).text


def test_before_the_first_run_the_page_says_so(client_of, warehouse):
    client = client_of(deployment(warehouse))
    assert "nothing was loaded" in page(client, "/").text
    assert "Nothing was loaded" in page(client, "/dataset?dataset=shop.things").text
    assert client.get("/load?load=shop.things:x").status_code == 404


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WarehouseUnavailableError("no answer", place="SELECT secret"), "The warehouse does not answer"),
        (StoreUnavailableError("no answer"), "The lake does not answer"),
        (SettingsError("no connection", remedy="set it"), "set it"),
        (CatalogError("a.yaml:3: no"), "a.yaml:3"),
        (RuntimeError("secret"), "The page failed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/dataset?dataset=shop.things", "/load?load=x", "/evidence?load=x"])
def test_a_failure_is_a_plain_page(client_of, error, words, path):
    reply = client_of(error).get(path)
    assert reply.status_code == 503
    assert words in Page(reply.text).text
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text


def test_styles_and_scripts_come_with_the_page_and_nothing_else_does(client_of):
    client = client_of(RuntimeError())
    assert client.get("/page.css").headers["content-type"].startswith("text/css")
    script = client.get("/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404
    for body in (client.get("/page.css").text, script.text):
        assert "http" not in body.replace("http-equiv", "")
    assert client.post("/").status_code == 405


def test_a_page_that_cannot_be_rendered_is_a_plain_page_too(client_of, made, monkeypatch):
    monkeypatch.setattr(health.answers, "load_page", lambda deployment, load: {"load": object()})
    reply = client_of(made).get("/load?load=x")
    assert (reply.status_code, "The page failed" in reply.text) == (503, True)


def test_a_run_of_the_command_line_has_no_page_and_a_clean_load_no_evidence(
    client_of, warehouse, ledger, kit
):
    load = ledger.record(kit.row(-1, dataset="things", run_id="cli__1", notes="few rows", mode="replay"))
    client = client_of(deployment(warehouse))
    found = page(client, f"/load?load={load.load_id}")
    assert "cli__1" in found.text
    assert "few rows" in found.text
    assert not any("/runs/" in link for link in found.links)
    assert client.get(f"/evidence?load={load.load_id}").status_code == 404


def test_bars_are_of_loads_oldest_first(kit):
    from tideline.health.pages import bars

    rows = [kit.row(0, landed=100), kit.row(-1, mode="rewind"), kit.row(-2, landed=0)]
    assert [(x, height) for x, height, _ in bars(rows)] == [(0, 2), (1, 36)]
    assert bars([]) == []


def test_the_clock_of_a_report_is_the_pages(client_of, made):
    assert f"{datetime.now(UTC):%Y-%m-%d}" in page(client_of(made), "/").text

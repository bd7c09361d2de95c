"""What is particular about Google Cloud Storage: resumable uploads and Google's exceptions."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as storage_exceptions

from tideline.errors import AlreadyExistsError, IntegrityError, SettingsError, StoreUnavailableError
from tideline.lake.gcs import GcsStore
from tideline.lake.retry import Patience
from tideline.lake.writeonce import CHUNK_BYTES

LARGE = random.Random(7).randbytes(2 * CHUNK_BYTES + 999)


@pytest.fixture
def quick_store(gcs_client, patience):
    """Google's own retries sleep for real: by milliseconds here."""
    brief = replace(patience, pause_seconds=0.001, longest_pause_seconds=0.002, deadline_seconds=0.5)
    return GcsStore("gs://lake", gcs_client, patience=brief)


@pytest.mark.parametrize("action", [503, "refuse"])
@pytest.mark.parametrize(("method", "times"), [("POST", 2), ("PUT", 2)], ids=["begin", "chunk"])
def test_every_step_of_a_large_upload_is_tried_again(quick_store, gcs_front, method, times, action):
    gcs_front.fail(method, "upload", action, times=times)

    quick_store.put_file("k", io.BytesIO(LARGE))

    assert quick_store.read("k") == LARGE


def test_a_large_upload_that_keeps_failing_is_given_up(quick_store, gcs_front):
    gcs_front.fail("PUT", "upload", 503, times=10_000)

    with pytest.raises(StoreUnavailableError):
        quick_store.put_file("k", io.BytesIO(LARGE))

    gcs_front.faults.clear()
    assert not quick_store.exists("k")


def test_an_upload_and_its_body_that_lost_step_can_be_repeated_as_a_whole(quick_store, gcs_front):
    """The server kept half of a chunk: the library goes on with the next one, and the positions part."""
    gcs_front.fail("PUT", "upload", "half")

    with pytest.raises(StoreUnavailableError):
        quick_store.put_file("k", io.BytesIO(LARGE))

    assert not quick_store.exists("k")

    assert quick_store.put_file("k", io.BytesIO(LARGE)).bytes == len(LARGE)
    assert quick_store.read("k") == LARGE


def test_a_chunk_whose_reply_got_lost_is_sent_again(quick_store, gcs_front):
    gcs_front.fail("PUT", "upload", "lose")

    quick_store.put_file("k", io.BytesIO(LARGE))

    assert quick_store.read("k") == LARGE


def test_a_body_that_was_not_read_when_the_key_was_taken_is_compared_whole(quick_store, gcs_front):
    """Some servers look at the condition when the upload begins, before they have seen a byte."""
    quick_store.put_file("k", io.BytesIO(LARGE))
    gcs_front.fail("POST", "resumable", 412, times=2)

    assert quick_store.put_file("k", io.BytesIO(LARGE)).bytes == len(LARGE)
    with pytest.raises(AlreadyExistsError):
        quick_store.put_file("k", io.BytesIO(LARGE[:-1] + b"!"))


def test_an_object_that_is_shorter_than_it_claims_is_damage(gcs_store, gcs_front, naps):
    gcs_store.put("k", b"0123456789")
    gcs_front.objects["some/root/k"][0]["sizeClaimed"] = 12

    with pytest.raises(IntegrityError, match="12 bytes but gave only 10"):
        gcs_store.read("k")

    assert len(naps) == 3


def test_without_credentials_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)

    with pytest.raises(SettingsError, match="credentials"):
        GcsStore("gs://lake").put("k", b"body")


def invalid_response(status):
    return storage_exceptions.InvalidResponse(SimpleNamespace(status_code=status), "odd")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (api.PreconditionFailed("x"), AlreadyExistsError),
        (invalid_response(412), AlreadyExistsError),
        (api.NotFound("x"), SettingsError),
        (api.Forbidden("x"), SettingsError),
        (api.Unauthorized("x"), SettingsError),
        (auth.DefaultCredentialsError("x"), SettingsError),
        (auth.RefreshError("x"), SettingsError),
        (auth.RefreshError("x", retryable=True), StoreUnavailableError),
        (auth.TransportError("x"), StoreUnavailableError),
        (api.TooManyRequests("x"), StoreUnavailableError),
        (api.ServiceUnavailable("x"), StoreUnavailableError),
        (api.RetryError("x", cause=None), StoreUnavailableError),
        (invalid_response(502), StoreUnavailableError),
        (requests.ConnectionError("x"), StoreUnavailableError),
        (requests.Timeout("x"), StoreUnavailableError),
        (TimeoutError("x"), StoreUnavailableError),
        (storage_exceptions.DataCorruption(None, "x"), IntegrityError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_what_googles_exceptions_mean(error, expected):
    class Broken:
        def bucket(self, name):
            return self

        def get_blob(self, name, **options):
            raise error

    with pytest.raises(expected) as raised:
        GcsStore("gs://lake", Broken(), patience=Patience(attempts=1)).exists("k")

    assert raised.value.place == "gs://lake/k"

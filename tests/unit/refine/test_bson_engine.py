"""Which engine decodes, and what is said where the compiled one cannot."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tideline.errors import SettingsError
from tideline.refine import bson_engine
from tideline.refine.bson_engine import engine_of, native
from tideline.refine.contract import SEMANTICS
from tideline.refine.parts import engine_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tideline.catalog.model import CsvDataset


def module(semantics: int) -> ModuleType:
    made = ModuleType(bson_engine.MODULE)
    made.SEMANTICS, made.__version__ = semantics, "9"  # type: ignore[attr-defined]
    return made


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    bson_engine._look.cache_clear()
    yield
    bson_engine._look.cache_clear()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, bson_engine.MODULE, module(SEMANTICS))
    return sys.modules[bson_engine.MODULE]


@pytest.fixture
def _absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, bson_engine.MODULE, None)


def test_auto_takes_the_compiled_engine_and_says_so_once(
    installed: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert [engine_of("auto"), engine_of("native"), engine_of("auto")] == ["native"] * 3
    assert native() is installed
    assert caplog.messages == ["BSON is decoded by the compiled decoder 9"]


@pytest.mark.usefixtures("installed")
def test_python_may_be_asked_for() -> None:
    assert engine_of("python") == "python"


@pytest.mark.usefixtures("_absent")
def test_without_the_wheel_python_decodes_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert [engine_of("auto"), engine_of("auto"), engine_of("python")] == ["python"] * 3
    assert len(caplog.messages) == 1
    assert "the compiled decoder is not installed" in caplog.text


@pytest.mark.usefixtures("_absent")
def test_asking_for_the_compiled_engine_without_the_wheel_is_an_error() -> None:
    with pytest.raises(
        SettingsError, match=r"TIDELINE_DECODER is 'native', but .* not installed.*make native"
    ):
        engine_of("native")


def test_other_semantics_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, bson_engine.MODULE, module(SEMANTICS + 1))
    assert engine_of("auto") == "python"
    assert f"has semantics {SEMANTICS + 1}, this Tideline {SEMANTICS}" in caplog.text
    with pytest.raises(SettingsError, match="has semantics"):
        engine_of("native")


@pytest.mark.usefixtures("_absent")
def test_only_documents_have_a_choice(csv_dataset: Callable[..., CsvDataset]) -> None:
    assert engine_for(csv_dataset(), "native") == "python"

"""Which engine decodes BSON: the compiled one where its wheel is installed, else Python's.

The only module that imports the wheel (`include/native/bson`). Both engines give the same rows and the same
rejects; manifests name the one that ran. Knows no documents.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from tideline.errors import SettingsError
from tideline.refine.contract import SEMANTICS

if TYPE_CHECKING:
    from tideline import settings

Engine = Literal["native", "python"]

MODULE = "tideline_native_bson"
log = logging.getLogger(__name__)


def engine_of(choice: settings.Decoder) -> Engine:
    """The engine for a choice of TIDELINE_DECODER.

    Raises:
        SettingsError: The choice is `native`, and the compiled decoder cannot be used.
    """
    if choice == "python":
        return "python"
    found = _look(MODULE)
    if isinstance(found, ModuleType):
        return "native"
    if choice == "auto":
        return "python"
    raise SettingsError(
        f"TIDELINE_DECODER is 'native', but {found}",
        remedy="install its wheel (`make native` builds it), or set TIDELINE_DECODER to auto or python",
    )


def native() -> ModuleType:
    """The compiled decoder's module; only for where `engine_of` said so."""
    engine_of("native")
    return import_module(MODULE)


@cache
def _look(name: str) -> ModuleType | str:
    """The module, or why it cannot be used; says once which engine that makes."""
    try:
        module = import_module(name)
    except ImportError as error:
        log.info("BSON is decoded by Python: the compiled decoder is not installed (%s)", error)
        return f"the compiled decoder is not installed ({error})"
    if module.SEMANTICS != SEMANTICS:
        why = f"the compiled decoder has semantics {module.SEMANTICS}, this Tideline {SEMANTICS}"
        log.warning("BSON is decoded by Python: %s; build it anew with `make native`", why)
        return why
    log.info("BSON is decoded by the compiled decoder %s", module.__version__)
    return module

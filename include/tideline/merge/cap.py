"""How many rows may become tombstones at once. More is rather a broken source than a tidy one. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tideline.errors import ContractError

if TYPE_CHECKING:
    from tideline.catalog.model import Dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deletions:
    """How many rows of a table would become tombstones, of how many live ones, and keys of some of them."""

    SHOWN: ClassVar[int] = 5

    count: int
    live: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the live rows."""
        return self.count / self.live if self.live else 0.0


def check_cap(dataset: Dataset, found: Deletions, allowed: float | None = None) -> None:
    """Stop where more of a table would be deleted than is allowed.

    Args:
        dataset: Whose table it is.
        found: What would be deleted.
        allowed: The share of the live rows; the catalog's `delete_threshold` where None.

    Raises:
        ContractError: Says how many of how many, and keys of some.
    """
    most = dataset.delete_threshold if allowed is None else allowed
    if found.share <= most:
        return
    named = "delete_threshold" if allowed is None else "the maximum ratio of this run"
    raise ContractError(
        f"{found.count} of {found.live} live rows ({found.share:.2%}) are gone at the source, more than "
        f"{named} {most:.2%} allows; nothing was deleted. Keys of some: {', '.join(found.examples)}",
        source=dataset.source,
        dataset=dataset.name,
        remedy="see whether the source is whole and the right one; if these rows are gone for good, run once "
        f"`tideline reconcile --dataset {dataset.dataset_id} --max-delete-ratio {_enough(found.share)}`, "
        "or raise delete_threshold in the catalog",
    )


def _enough(share: float) -> str:
    """The share, rounded up to whole percents."""
    return f"{-(-share * 100 // 1) / 100:.2f}"

"""One catalog file: its bytes → a `Source`, or every problem of it with its line.

Knows encodings and where a model's faults stand in a file. `tideline.catalog.model` says what is legal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tideline.catalog.column import Column
from tideline.catalog.document import Block, Problem, UnreadableError, line_of, parse
from tideline.catalog.layout import COLUMN_INHERITED, LAYOUTS, Head, Layout, spell_dataset
from tideline.catalog.model import Source
from tideline.catalog.scalars import short, shown
from tideline.catalog.wording import explain, unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tideline.catalog.column import Finding, KeyPath
    from tideline.catalog.model import Dataset

_MAX_BYTES = 8 << 20
"""Size of a file; 200 datasets of 20 columns are 0.2 MB."""

_MAX_TEXT = 1000
"""Characters of a problem's text: twice the longest that a file without hostility gets."""


@dataclass(slots=True)
class SourceFile:
    """What a file holds, and what is wrong with it; `source` is set where nothing is."""

    path: Path
    root: object = None
    problems: list[Problem] = field(default_factory=list)
    source: Source | None = None

    def complain(self, path: KeyPath, text: str) -> None:
        """Add a problem of the key at that path."""
        self.problems.append(Problem(line_of(self.root, path), path, text))

    def report(self) -> Iterator[str]:
        """A line of text for each problem, in the order of the file."""
        for problem in sorted(dict.fromkeys(self.problems), key=lambda problem: problem.line):
            key = ".".join(short(str(step)) for step in problem.path)
            yield f"{self.path}:{problem.line}: {f'{key}: ' if key else ''}{short(problem.text, _MAX_TEXT)}"


def read_source(path: Path) -> SourceFile:
    """Read one file; raises nothing for what is wrong with it."""
    file = SourceFile(path)
    try:
        file.root, problems = parse(_text(path))
    except UnreadableError as error:
        file.problems = error.problems
        return file
    file.problems = problems
    if isinstance(file.root, Block):
        _interpret(file, file.root)
    else:
        keys = "source, kind, connection and datasets"
        file.complain((), f"found {shown(file.root)}; write a mapping with the keys {keys}")
    return file


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            body = stream.read(_MAX_BYTES + 1)
        if len(body) > _MAX_BYTES:
            raise _unreadable(
                1, f"more than {_MAX_BYTES} bytes; a catalog file is no data file, move it away"
            )
        return body.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(1, f"cannot be read: {error.strerror}; make it a readable file") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"the byte 0x{error.object[error.start]:02X}"
        raise _unreadable(line, f"found {found}, which is not UTF-8; save the file as UTF-8") from error


def _unreadable(line: int, text: str) -> UnreadableError:
    return UnreadableError([Problem(line, (), text)])


def _interpret(file: SourceFile, root: Block) -> None:
    kind = root.get("kind")
    layout = LAYOUTS.get(kind) if isinstance(kind, str) else None
    head = _head(file, root, layout)
    if layout is None or not isinstance(root.get("datasets"), Block):
        return
    datasets = [_dataset(file, root, layout, name) for name in root["datasets"]]
    if head is not None and not file.problems:
        file.source = Source(
            name=head.source,
            kind=head.kind,
            connection=head.connection,
            description=head.description,
            datasets=tuple(datasets),
        )


def _head(file: SourceFile, root: Block, layout: Layout | None) -> Head | None:
    model = Head if layout is None else layout.head
    unsettled = {key for other in LAYOUTS.values() for key in other.shared} if layout is None else ()
    try:
        return model.model_validate({key: value for key, value in root.items() if key not in unsettled})
    except ValidationError as error:
        for path, text in explain(error, model):
            file.complain(path, text)
        return None


def _dataset(file: SourceFile, root: Block, layout: Layout, name: str) -> Dataset | None:
    declared, place = root["datasets"][name], ("datasets", name)
    if not isinstance(declared, Block):
        file.complain(place, f"found {shown(declared)}; write a mapping with the keys key, columns, …")
        return None
    for path, text in _misplaced(declared, layout):
        file.complain((*place, *path), text)
    spelled = spell_dataset(layout, name, root, declared)
    try:
        return layout.dataset.model_validate(spelled)
    except ValidationError as error:
        for path, text in explain(error, layout.dataset):
            if path[:1] and path[0] not in layout.inherited:
                file.complain((*place, *_as_written(spelled, path)), text)
        return None


def _misplaced(declared: Block, layout: Layout) -> Iterator[Finding]:
    """Keys of the models that a file spells otherwise."""
    for key in layout.inherited:
        if key in declared:
            yield (key,), unknown_key(key, layout.dataset)
    yield from _misplaced_in_columns(declared)


def _misplaced_in_columns(declared: Block) -> Iterator[Finding]:
    columns = declared.get("columns")
    for name, column in columns.items() if isinstance(columns, Block) else ():
        if isinstance(column, Block):
            for key in COLUMN_INHERITED:
                if key in column:
                    yield ("columns", name, key), unknown_key(key, Column)
            yield from ((("columns", name, *path), text) for path, text in _misplaced_in_columns(column))


def _as_written(spelled: Any, path: KeyPath) -> KeyPath:  # noqa: ANN401  (a tree of mappings and lists)
    """A place in a spelled-out dataset as a place in the file, where columns go by name."""
    written: list[str | int] = []
    for above, step in zip((None, *path), path, strict=False):
        is_there = step in spelled if isinstance(spelled, dict) else isinstance(spelled, list)
        spelled = spelled[step] if is_there else None
        written.append(spelled["name"] if above == "columns" and isinstance(step, int) else step)
    return tuple(written[:-1] if len(path) > 1 and path[-1] == "name" else written)

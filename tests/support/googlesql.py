"""Whether BigQuery would take what the emulator took: statements read by the analyzer of GoogleSQL itself.

What is judged is what emulators wrote down (`devstack.bigquery.record`). The analyzer is Google's own, compiled to
WebAssembly by the package `zetasql`. It knows names, types and functions; not partitions, quotas, rights, or prices.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import zetasql.types as z
from zetasql.api import TypeFactory
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

KINDS = {
    "STRING": "STRING", "BYTES": "BYTES", "BOOL": "BOOL", "BOOLEAN": "BOOL", "INT64": "INT64", "INTEGER": "INT64",
    "FLOAT64": "DOUBLE", "FLOAT": "DOUBLE", "NUMERIC": "NUMERIC", "BIGNUMERIC": "BIGNUMERIC", "DATE": "DATE",
    "TIME": "TIME", "DATETIME": "DATETIME", "TIMESTAMP": "TIMESTAMP", "JSON": "JSON", "GEOGRAPHY": "GEOGRAPHY",
}  # fmt: skip
BIGQUERY_ONLY = ("max_by", "min_by")
"""Aggregates that BigQuery documents and the analyzer lacks: of the first argument's type."""
UNKNOWN = re.compile(
    r"\s*(INSERT INTO \S+ \([^)]*\) VALUES|ALTER TABLE \S+ ALTER COLUMN \S+ SET DATA TYPE)"
    r"|.*\b(duckdb_tables|current_setting)\(",
    re.IGNORECASE,
)
"""Rows that tests write as literals, what they ask of the emulator's own engine; and a statement that BigQuery
documents and the analyzer lacks."""
CREATES = re.compile(r"\bcreate (?:or replace )?(?:table|view) (?:if not exists )?([`\w.-]+)", re.IGNORECASE)
SAMPLES = re.compile(r"[0-9a-f]{6,}|\d+")
"""What differs between statements that are otherwise the same: identifiers, moments, numbers."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that BigQuery would refuse, why, and in which line."""

    why: str
    sql: str


@dataclass
class Reader:
    """Reads one warehouse's statements in their order.

    What a statement creates has the types that the analyzer finds, not those that the emulator gave it.
    """

    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def read(self, asked: Mapping[str, Any]) -> Refusal | None:
        """None where BigQuery would take it."""
        analyzer, language = service()
        parameters = [
            z.AnalyzerOptions.QueryParameter(name=each["name"], type=_parameter(each["parameterType"]))
            for each in asked["parameters"]
        ]
        options = z.AnalyzerOptions(
            language_options=language, query_parameters=parameters, error_message_mode=1
        )
        request = z.AnalyzeRequest(
            sql_statement=asked["sql"],
            options=options,
            simple_catalog=self._catalog(asked["tables"], asked["project"]),
        )
        try:
            found = analyzer.wasm_client.call_grpc_func(
                "ZetaSqlLocalService_Analyze", request.to_proto(), z.AnalyzeResponse._PROTO_CLASS
            )
        except ZetaSQLError as error:
            return Refusal(str(error), asked["sql"])
        if name := _created(asked):  # the tree is dear to read
            self.made[name] = _types(z.AnalyzeResponse.from_proto(found).resolved_statement)
        return None

    def _catalog(self, tables: Mapping[str, Sequence[Mapping[str, Any]]], project: str) -> z.SimpleCatalog:
        numbers = iter(range(1, 1_000_000))

        def table(called: str, name: str) -> z.SimpleTable:
            made = self.made.get(name, {})
            columns = [
                z.SimpleColumn(
                    name=each["name"],
                    type=made.get(each["name"].lower()) or _column(each),
                    is_writable_column=True,
                )
                for each in tables[name]
            ]
            return z.SimpleTable(name=called, serialization_id=next(numbers), column=columns)

        projects: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name in tables:
            owner, dataset, _ = name.split(".")
            projects[owner][dataset].append(name)

        def datasets(owner: str) -> list[z.SimpleCatalog]:
            return [
                z.SimpleCatalog(name=dataset, table=[table(name.split(".")[2], name) for name in names])
                for dataset, names in projects[owner].items()
            ]

        whole = [table(name, name) for name in tables]
        whole += [table(name.partition(".")[2], name) for name in tables if name.startswith(f"{project}.")]
        owners = [z.SimpleCatalog(name=owner, catalog=datasets(owner)) for owner in list(projects)]
        _, language = service()
        return z.SimpleCatalog(
            name="warehouse",
            table=whole,
            catalog=[*owners, *datasets(project)],
            builtin_function_options=z.ZetaSQLBuiltinFunctionOptions(language_options=language),
            custom_function=[_aggregate(name) for name in BIGQUERY_ONLY],
        )


def refusals(lines: Iterable[str]) -> Iterator[Refusal | None]:
    """What is refused of one emulator's record, None for each statement that is not; look-alikes are read once."""
    reader = Reader()
    seen: dict[str, str | None] = {}
    for line in lines:
        asked = json.loads(line)
        look, name = SAMPLES.sub("#", line), _created(asked)
        if look in seen:
            if name:
                reader.made[name] = reader.made.get(seen[look] or "", {})
        elif not UNKNOWN.match(asked["sql"]):
            seen[look] = name
            yield reader.read(asked)


def _created(asked: Mapping[str, Any]) -> str | None:
    """The full name of the table or view that a statement makes."""
    found = CREATES.search(asked["sql"])
    name = found[1].replace("`", "") if found else None
    return name if name is None or name.count(".") > 1 else f"{asked['project']}.{name}"


def _types(done: Any) -> dict[str, Any]:
    """Column → type of what a statement makes."""
    if columns := getattr(done, "column_definition_list", None):
        return {column.name.lower(): column.type for column in columns}
    return {
        column.name.lower(): column.column.type for column in getattr(done, "output_column_list", None) or ()
    }


@cache
def service() -> tuple[Any, z.LanguageOptions]:
    """The analyzer, which takes seconds to start, and BigQuery's language, as near as it can be named."""
    analyzer = ZetaSqlLocalService.get_instance()
    client = type(analyzer.wasm_client)
    client.read_bytes, client.write_bytes = _read, _write  # theirs go byte by byte
    language = z.LanguageOptions.maximum_features()
    language.product_mode = z.ProductMode.PRODUCT_EXTERNAL
    language.reserved_keywords = ["QUALIFY"]
    language.supported_statement_kinds = [
        getattr(z.ResolvedNodeKind, name) for name in dir(z.ResolvedNodeKind) if name.endswith("_STMT")
    ]
    return analyzer, language


def _read(client: Any, at: int, size: int) -> bytes:
    return ctypes.string_at(ctypes.addressof(client.memory.data_ptr().contents) + at, size)


def _write(client: Any, at: int, data: bytes) -> None:
    ctypes.memmove(ctypes.addressof(client.memory.data_ptr().contents) + at, bytes(data), len(data))


def _column(declared: Mapping[str, Any]) -> Any:
    one = (
        TypeFactory.create_struct_type([(inner["name"], _column(inner)) for inner in declared["fields"]])
        if declared["type"].upper() in {"RECORD", "STRUCT"}
        else _scalar(declared["type"])
    )
    return TypeFactory.create_array_type(one) if declared["mode"] == "REPEATED" else one


def _parameter(kind: Mapping[str, Any]) -> Any:
    if kind["type"] == "ARRAY":
        return TypeFactory.create_array_type(_parameter(kind["arrayType"]))
    if kind["type"] == "STRUCT":
        members = [(member["name"], _parameter(member["type"])) for member in kind["structTypes"]]
        return TypeFactory.create_struct_type(members)
    return _scalar(kind["type"])


def _scalar(kind: str) -> Any:
    return TypeFactory.create_simple_type(getattr(z.TypeKind, f"TYPE_{KINDS[kind.upper()]}"))


def _aggregate(name: str) -> z.Function:
    required = z.FunctionArgumentTypeOptions(cardinality=z.FunctionEnums.ArgumentCardinality.REQUIRED)
    first, second = (
        z.FunctionArgumentType(kind=kind, options=required)
        for kind in (z.SignatureArgumentKind.ARG_TYPE_ANY_1, z.SignatureArgumentKind.ARG_TYPE_ANY_2)
    )
    signature = z.FunctionSignature(argument=[first, second], return_type=first)
    mode = z.FunctionEnums.Mode.AGGREGATE
    return z.Function(name_path=[name], group="BigQuery", mode=mode, signature=[signature])


def judge(folder: Path) -> tuple[int, list[Refusal]]:
    """Of every record in a folder: how many statements were read, and those that are refused."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = [each for file in pool.map(_read_file, sorted(folder.glob("*.jsonl"))) for each in file]
    return len(found), list({SAMPLES.sub("#", each.sql): each for each in found if each}.values())


def _read_file(path: Path) -> list[Refusal | None]:
    with path.open(encoding="utf-8") as lines:
        return list(refusals(lines))

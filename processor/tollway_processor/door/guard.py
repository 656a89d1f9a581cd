"""Judges whether a statement only reads the store's tables; the engine's own lock comes on top.

Each level has an allow-list (vocabulary.py, functions.py): statements, nodes of the syntax
tree, functions, table functions, tables of `system`. What is not known is refused.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from tollway_processor.door import parse
from tollway_processor.door.faults import ACCESS_DENIED, READONLY, UNKNOWN_FUNCTION, fault
from tollway_processor.door.functions import TABLE_FUNCTIONS, FunctionCatalog
from tollway_processor.door.session import Connection
from tollway_processor.door.statement import split_statement
from tollway_processor.door.vocabulary import (
    EXPLAINED,
    PARTS,
    PATH_COLUMNS,
    PLAIN_STATEMENTS,
    STATEMENTS,
    SYSTEM_TABLES,
    TABLES_WITH_PATHS,
)
from tollway_processor.errors import StoreError

_MATCHERS = re.compile(r"Asterisk|QualifiedAsterisk|(Qualified)?Columns\w+Matcher")
_SET_FUNCTIONS = re.compile(r"(global)?(not)?(null)?in(ignoreset)?", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[\w$-]+(\.[\w$-]+)*")


class Guard:
    """Refuses, by the engine's own parse, every statement that is more than a read."""

    def __init__(self, connection: Connection) -> None:
        self._functions = FunctionCatalog(connection)
        self._reloading = threading.Lock()

    def check(
        self,
        connection: Connection,
        normal: str,
        parameters: Mapping[str, str],
        *,
        database: str,
        outfile: str,
    ) -> set[str]:
        """Return the tables that a statement reads, if reading tables is all it does.

        `normal` is the engine's normal form of what is to run, with the door's own INTO OUTFILE;
        `connection` a locked session. Raises StoreError: 164 not a read, 497 reaches outside,
        46 unknown function.
        """
        tree = parse.read(connection, normal, parameters)
        _check_kinds(tree)
        _check_clauses(tree, outfile)
        lambdas = tree.lambdas()
        for node in tree.nodes:
            if node.kind == "Function" and node.is_table_function:
                _check_table_function(connection, node.name)
            elif node.kind in {"Function", "ColumnsApplyTransformer"} and node.name:
                self._check_function(connection, node.name, lambdas)
        return self._check_tables(connection, tree, database)

    def _check_function(self, connection: Connection, name: str, lambdas: set[str]) -> None:
        reason = self._functions.refusal(name)
        if reason:
            raise fault(ACCESS_DENIED, f"function {name}() is refused: it {reason}")
        if self._functions.allows(name) or name in lambdas:
            return
        with self._reloading:
            self._functions.load(connection)
        if not self._functions.allows(name):
            raise fault(UNKNOWN_FUNCTION, f"Function with name `{name}` does not exist")

    def _check_tables(self, connection: Connection, tree: parse.Tree, database: str) -> set[str]:
        touched = set(_tables_named(tree))
        for name in touched:
            _check_table(connection, name, database)
        restricted = {_system_table(name, database) for name in touched} & TABLES_WITH_PATHS
        if not restricted:
            return touched
        for node in tree.nodes:
            if node.kind == "Identifier" and node.name.rpartition(".")[2] in PATH_COLUMNS:
                raise fault(ACCESS_DENIED, f"column {node.name} shows paths of the server's disk")
            if _MATCHERS.fullmatch(node.kind):
                raise fault(
                    ACCESS_DENIED,
                    f"name the columns to read of system.{min(restricted)}: some of the others "
                    "show paths of the server's disk",
                )
        return touched


def not_a_read(kind: str) -> StoreError:
    """Return the error for a statement of another kind."""
    return fault(
        READONLY,
        "Cannot execute query in readonly mode: the SQL door takes SELECT, SHOW, DESCRIBE, EXISTS "
        f"and EXPLAIN, not {kind or 'this'}",
    )


def _check_kinds(tree: parse.Tree) -> None:
    root = tree.nodes[0]
    if root.kind not in STATEMENTS:
        raise not_a_read(root.kind)
    # Only the JSON shows everything in these; the listing leaves out SHOW's WHERE, for instance.
    if not tree.json and root.kind not in PLAIN_STATEMENTS:
        raise fault(ACCESS_DENIED, f"this form of {root.kind} is not open to readers")
    for node in tree.nodes:
        if node.kind == "ColumnsApplyTransformer" and not tree.json:
            raise fault(ACCESS_DENIED, f"APPLY is not open inside of {root.kind}")
        if node.kind == "Explain" and node.name not in EXPLAINED:
            raise fault(ACCESS_DENIED, f"{node.name} is not open to readers")
        if node.kind not in STATEMENTS | PARTS:
            raise fault(READONLY, f"{node.kind} is not part of a read that the SQL door knows")


def _check_clauses(tree: parse.Tree, outfile: str) -> None:
    statement = split_statement(tree.text)
    written = {node.name for node in tree.nodes if node.kind == "OutFile"}
    if statement.outfile != outfile or written - {outfile}:
        raise fault(ACCESS_DENIED, "INTO OUTFILE writes a file on the server")
    if tree.sets() > bool(statement.settings):
        raise fault(READONLY, "SETTINGS stand at the end of a statement here, not inside of it")


def _check_table_function(connection: Connection, name: str) -> None:
    """Let a listed table function pass, and a parameterised view: that is a stored SELECT."""
    if name.lower() in TABLE_FUNCTIONS:
        return
    if _exists(connection, name, "AND engine = 'View'"):
        return
    raise fault(
        ACCESS_DENIED,
        f"table function {name}() is refused: the SQL door reads this store's tables only",
    )


def _tables_named(tree: parse.Tree) -> Iterator[str]:
    """Yield every name that can stand for a table, `x IN name` included."""
    for node in tree.nodes:
        if node.kind == "TableIdentifier" or node.kind.startswith(("Show", "Exists")):
            yield node.name
    for function, arguments in tree.calls():
        if _SET_FUNCTIONS.fullmatch(function):
            yield from (str(item.get("name")) for item in arguments if _is_identifier(item))


def _is_identifier(item: object) -> TypeGuard[dict[str, object]]:
    return isinstance(item, dict) and item.get("type") == "Identifier"


def _system_table(name: str, database: str) -> str:
    """Return the name inside `system` that a table's name leads to, else an empty string."""
    schema, dot, table = name.partition(".")
    if not dot:
        schema, table = database, name
    return table if schema.lower() == "system" else ""


def _check_table(connection: Connection, name: str, database: str) -> None:
    table = _system_table(name, database)
    if table and table not in SYSTEM_TABLES:
        raise fault(
            ACCESS_DENIED, f"table system.{table} shows more of the server than a reader needs"
        )
    # The embedded engine takes FROM 'file.csv' for a file: such a name must be a table's.
    if name and not _PLAIN_NAME.fullmatch(name) and not _exists(connection, name, ""):
        raise fault(ACCESS_DENIED, f"'{name}' is not a table of this store")


def _exists(connection: Connection, name: str, condition: str) -> bool:
    """Look a table up by `name` or `database.name`, as the syntax tree writes them."""
    escaped = name.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    found = connection.query(
        "SELECT count() FROM system.tables WHERE "
        f"(name = {{name:String}} OR concat(database, '.', name) = {{name:String}}) {condition}",
        "TSV",
        params={"name": escaped},
    ).bytes()
    return found.strip() != b"0"

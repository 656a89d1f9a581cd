"""Asks the engine how it reads a statement; what may be read is guard.py's to judge.

Nothing here runs the statement. formatQuery refuses a text that holds several, so that the
views after it (EXPLAIN AST would run a second statement) see exactly one, without comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tollway_processor.door.faults import BAD_ARGUMENTS, UNKNOWN_PARAMETER, fault
from tollway_processor.door.session import Connection
from tollway_processor.door.tokens import Kind, tokens
from tollway_processor.errors import StoreError
from tollway_processor.quoting import quote_name


class Node(NamedTuple):
    """One node of a statement's syntax tree: its class, and the name it carries if any."""

    kind: str
    name: str = ""
    is_table_function: bool = False


class Tree(NamedTuple):
    """A statement in the engine's normal form, and every node that its two views name."""

    text: str
    nodes: list[Node]
    json: dict[str, object]

    def lambdas(self) -> set[str]:
        """Return the names that the statement gives to lambdas, to be called as functions."""
        return {
            str(node["alias"])
            for node in _dicts(self.json)
            if node.get("is_lambda_function") and "alias" in node
        }

    def sets(self) -> int:
        """Count the SETTINGS clauses; EXPLAIN's own options are none."""
        explained = sum(
            node.get("type") == "ExplainQuery" and "settings" in node for node in _dicts(self.json)
        )
        return sum(node.get("type") == "SetQuery" for node in _dicts(self.json)) - explained

    def calls(self) -> Iterator[tuple[str, list[object]]]:
        """Yield each function's name and arguments, as JSON nodes."""
        for node in _dicts(self.json):
            arguments = node.get("arguments")
            if node.get("type") == "Function" and isinstance(arguments, dict):
                yield str(node.get("name")), list(arguments.get("children", []))


def read(connection: Connection, normal: str, parameters: Mapping[str, str]) -> Tree:
    """Parse a statement that `normalise` wrote, in both of the engine's views."""
    listed = connection.query(f"EXPLAIN AST {normal}", "TSV", params=parameters).bytes()
    nodes = [*_listed_nodes(listed.decode(errors="replace"))]
    tree = _json_tree(connection, normal)
    nodes.extend(_json_nodes(tree))
    return Tree(normal, nodes, tree)


def normalise(connection: Connection, text: str, parameters: Mapping[str, str]) -> str:
    """Return a statement as the engine writes it: in one line, identifiers filled, no comments.

    Raises StoreError (62) when the text is malformed or holds more than one statement.
    """
    try:
        result = _ask(connection, "formatQuerySingleLine", text)
    except StoreError as error:
        message = re.sub(r": In scope SELECT formatQuery.*(?=\()", " ", str(error), flags=re.S)
        raise StoreError(message, code=error.code) from None
    return _fill_identifiers(result, parameters)


def _ask(connection: Connection, function: str, text: str) -> str:
    escaped = re.sub(r"[\\\n\t\r\0]", lambda match: _ESCAPED[match[0]], text)
    result = connection.query(
        f"SELECT {function}({{statement:String}})", "RawBLOB", params={"statement": escaped}
    )
    return result.bytes().decode(errors="replace")


_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def _fill_identifiers(text: str, parameters: Mapping[str, str]) -> str:
    """Put {name:Identifier} parameters in, so that both views and the run see the same names."""
    found = [*tokens(text)]
    pieces: list[str] = []
    position = 0
    for index in range(len(found) - 4):
        opening, name, colon, kind, closing = found[index : index + 5]
        shape = opening.text + colon.text + closing.text
        if shape != "{:}" or kind.text != "Identifier" or name.kind is not Kind.WORD:
            continue
        if name.text not in parameters:
            raise fault(UNKNOWN_PARAMETER, f"Substitution `{name.text}` is not set")
        pieces += [text[position : opening.start], quote_name(parameters[name.text])]
        position = closing.end
    return "".join([*pieces, text[position:]])


def _listed_nodes(listed: str) -> Iterator[Node]:
    """Read EXPLAIN AST: a node a line, one space of indentation a level."""
    above: list[str] = []
    for line in listed.splitlines():
        label = line.lstrip(" ")
        depth = len(line) - len(label)
        bare = re.sub(r"( \(alias .*\))?( \(children \d+\))?$", "", label)
        kind, _, name = bare.partition(" ")
        del above[depth:]
        parent = above[-1] if above else ""
        above.append(kind)
        yield Node(kind, name.strip(), kind == "Function" and parent == "TableExpression")


def _json_tree(connection: Connection, normal: str) -> dict[str, object]:
    try:
        tree = json.loads(_ask(connection, "parseQueryToJSON", normal))
    except StoreError as error:
        if error.code == BAD_ARGUMENTS:  # it knows SELECT and EXPLAIN, not DESCRIBE nor EXISTS
            return {}
        raise
    return tree if isinstance(tree, dict) else {}


def _dicts(tree: object) -> Iterator[dict[str, object]]:
    children: Iterable[object] = ()
    if isinstance(tree, dict):
        yield tree
        children = tree.values()
    elif isinstance(tree, list):
        children = tree
    for child in children:
        yield from _dicts(child)


def _json_nodes(tree: dict[str, object]) -> Iterator[Node]:
    """Name what EXPLAIN AST leaves out too: APPLY's functions, INTO OUTFILE."""
    table_functions = {id(node.get("table_function")) for node in _dicts(tree)}
    for node in _dicts(tree):
        if isinstance(kind := node.get("type"), str):
            name = str(node.get("func_name", node.get("name", "")))
            yield Node(kind, name, id(node) in table_functions)
        if "out_file" in node:
            yield Node("OutFile", _literal(node["out_file"]))


def _literal(node: object) -> str:
    value = node.get("value") if isinstance(node, dict) else None
    return str(value.get("value")) if isinstance(value, dict) else ""

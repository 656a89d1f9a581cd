"""Which functions a reader may call: the engine's own list less those that reach outside."""

from __future__ import annotations

import re

from tollway_processor.door.session import Connection

# Each reaches files, network, keeper, other queries' internals or the machine, or only burns time.
_REACHING = {
    r"file|filesystem.*": "reads the server's files",
    r"ai[a-z]+|reversednsquery": "calls the network",
    r"hascolumnintable": "can ask another server",
    r"evalmlmethod|catboostevaluate|modelevaluate|naivebayes.*": "loads a model from a file",
    r"region.*": "reads dictionaries from the server's files",
    r"address.*|demangle|logtrace|tid|getoskernelversion|showcertificate": "inspects the process",
    r"getmacro|getserversetting|getserverport|tcpport|getclienthttpheader": "shows configuration",
    r"sleep|sleepeachrow": "only waits",
    r"generateserialid|zookeeper.*": "uses the keeper",
    r"fuzzquery|__(?!cast|grouping).*": "is internal to the engine",
}
_REACHING_PATTERNS = [(re.compile(pattern), reason) for pattern, reason in _REACHING.items()]

# Syntax that the parser writes as a call, and no function of the engine.
_SYNTAX = frozenset({"lambda", "_cast", "grouping", "exists", "untuple"})

_PROGRAM = "ExecutableUserDefined"

TABLE_FUNCTIONS = frozenset(
    {
        "dictionary",
        "generaterandom",
        "generateseries",
        "generate_series",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "sqlstandardvalues",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)


class FunctionCatalog:
    """Names of the functions that the engine has and a reader may call."""

    def __init__(self, connection: Connection) -> None:
        self._scalars: set[str] = set()
        self._aggregates: set[str] = set()
        self._programs: set[str] = set()
        self._combinators: list[str] = []
        self.load(connection)

    def load(self, connection: Connection) -> None:
        """Read the engine's lists anew; a function made by SQL appears while the door is open."""
        listed = connection.query(
            "SELECT lower(name), is_aggregate, toString(origin) FROM system.functions"
        ).bytes()
        rows = [line.split("\t") for line in listed.decode().splitlines()]
        self._programs = {name for name, _, origin in rows if origin == _PROGRAM}
        self._scalars = {name for name, *_ in rows if not self.refusal(name)} | _SYNTAX
        self._aggregates = {name for name, is_aggregate, _ in rows if is_aggregate == "1"}
        combinators = connection.query(
            "SELECT lower(name) FROM system.aggregate_function_combinators"
        ).bytes()
        self._combinators = combinators.decode().split()

    def allows(self, name: str) -> bool:
        """Tell whether this scalar, aggregate or window function may be called."""
        lowered = name.lower()
        return lowered in self._scalars or self._is_aggregate(lowered)

    def refusal(self, name: str) -> str | None:
        """Say why a function is kept from readers; None for those that stay in the statement."""
        lowered = name.lower()
        if lowered in self._programs:
            return "runs a program"
        for pattern, reason in _REACHING_PATTERNS:
            if pattern.fullmatch(lowered):
                return reason
        return None

    def _is_aggregate(self, lowered: str) -> bool:
        """Take combinators off: quantilesTDigestIfMerge is quantilesTDigest."""
        if lowered in self._aggregates:
            return True
        return any(
            self._is_aggregate(lowered.removesuffix(suffix))
            for suffix in self._combinators
            if lowered.endswith(suffix)
        )

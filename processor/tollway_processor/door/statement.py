"""Takes a SQL statement apart: its trailing clauses, and an INSERT's head from its data.

Reads no meaning into what it cuts; guard.py judges statements, query.py runs them.
"""

from __future__ import annotations

from typing import NamedTuple

from tollway_processor.door.clauses import CLAUSE_WORDS, Clauses
from tollway_processor.door.tokens import Kind, Token, tokens, unquote
from tollway_processor.quoting import quote_string

READ_WORDS = frozenset(
    {"SELECT", "WITH", "FROM", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS", "CHECK", "KILL"}
)
# After these words an expression or a name follows, not a clause.
# fmt: off
_OPEN_WORDS = frozenset({
    "AND", "AS", "ASOF", "BETWEEN", "BY", "CASE", "DISTINCT", "ELSE", "EXCEPT", "FILL",
    "FROM", "HAVING", "ILIKE", "IN", "INTERSECT", "INTERVAL", "IS", "JOIN", "LIKE", "LIMIT",
    "NOT", "OFFSET", "ON", "OR", "PREWHERE", "QUALIFY", "SELECT", "STEP", "TABLE", "THEN", "TO",
    "UNION", "USING", "WHEN", "WHERE", "WITH",
})
# fmt: on


class Statement(NamedTuple):
    """One statement that gives rows, without its trailing INTO OUTFILE, FORMAT and SETTINGS."""

    body: str
    format: str | None
    settings: dict[str, str]
    settings_text: str
    outfile: str | None

    def into_file(self, path: str, default_format: str) -> str:
        """Return the statement that writes its result to `path` rather than to an `outfile`."""
        parts = [self.body, f"INTO OUTFILE {quote_string(path)} APPEND"]
        parts.append(f"FORMAT {self.format or default_format}")
        if self.settings_text:
            parts.append(f"SETTINGS {self.settings_text}")
        return "\n".join(parts)


class Insert(NamedTuple):
    """An INSERT whose rows follow in a format: the statement around the data, and the data."""

    head: str
    settings_text: str
    format: str
    data_start: int

    def from_file(self, path: str) -> str:
        """Return the statement that reads the same rows from a file."""
        settings = f" SETTINGS {self.settings_text}" if self.settings_text else ""
        return f"{self.head} FROM INFILE {quote_string(path)}{settings} FORMAT {self.format}"


def first_word(text: str) -> str:
    """Return a text's first keyword in capitals; opening brackets before it are skipped."""
    for token in tokens(text):
        if token.text != "(":
            return token.text.upper()
    return ""


def split_statement(text: str) -> Statement:
    """Cut one statement, as the engine's formatQuery writes it, into body and trailing clauses.

    Raises StoreError (73) when what FORMAT names is no name.
    """
    found = [*tokens(text)]
    body_end, clauses = len(text.rstrip()), Clauses(text, [])
    depth = 0
    for index, token in enumerate(found):
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind is Kind.SYMBOL else 0
        if depth == 0 and index and token.is_word(*CLAUSE_WORDS) and _ends_a_part(found[index - 1]):
            tried = Clauses(text, found[index:])
            if tried.read():
                body_end, clauses = token.start, tried
                break
    return Statement(
        body=text[:body_end].rstrip(),
        format=clauses.format,
        settings=clauses.settings,
        settings_text=", ".join(clauses.settings_texts),
        outfile=clauses.outfile,
    )


def _ends_a_part(token: Token) -> bool:
    """Tell whether a clause can follow: after BY or a comma, `format` is somebody's column."""
    if token.kind is Kind.SYMBOL:
        return token.text in {")", "]", "}", "*"}
    return token.kind is not Kind.WORD or token.text.upper() not in _OPEN_WORDS


def split_insert(body: bytes) -> Insert | None:
    """Find where an INSERT's data begins; None where its rows are VALUES, a SELECT or a file.

    One newline after the format's name is not data, as in ClickHouse: more would eat into
    binary rows.
    """
    text = body.decode("latin-1")  # a byte is a character, so offsets hold
    settings_start = head_end = 0
    depth = 0
    wants_format = False
    for token in tokens(text):
        depth += (token.text == "(") - (token.text == ")")
        if wants_format:
            end = settings_start or head_end
            settings = text[end:head_end].strip()[len("SETTINGS") :].strip()
            return Insert(
                head=_utf8(text[:end].strip()),
                settings_text=_utf8(settings),
                format=unquote(token),
                data_start=_data_start(text, token.end),
            )
        if depth or token.kind is not Kind.WORD:
            continue
        if token.is_word("SELECT", "VALUES", "WITH", "INFILE"):
            return None
        if token.is_word("SETTINGS"):
            settings_start = token.start
        if token.is_word("FORMAT"):
            wants_format, head_end = True, token.start
    return None


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode()


def _data_start(text: str, format_end: int) -> int:
    position = format_end
    while text[position : position + 1] in {" ", "\t", ";"}:
        position += 1
    if text.startswith("\r\n", position):
        return position + 2
    return position + 1 if text.startswith("\n", position) else position

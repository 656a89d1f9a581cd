"""Takes a SQL statement apart: its trailing clauses, and an INSERT's head from its data.

Reads no meaning into what it cuts; guard.py judges statements, query.py runs them.
"""

from __future__ import annotations

from typing import NamedTuple

from tollway_processor.door.tokens import Kind, Token, quote_string, tokens, unquote

READ_WORDS = frozenset(
    {"SELECT", "WITH", "FROM", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS", "CHECK", "KILL"}
)
_CLAUSES = ("INTO", "FORMAT", "SETTINGS")


class Statement(NamedTuple):
    """One statement that gives rows, without its trailing INTO OUTFILE, FORMAT and SETTINGS."""

    body: str
    format: str | None
    settings: dict[str, str]
    settings_text: str
    has_outfile: bool

    def into_file(self, path: str, default_format: str) -> str:
        """Return the statement that writes its result to `path`, at its end if that exists."""
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
    """Cut one statement, as the engine's formatQuery writes it, into body and trailing clauses."""
    clauses: dict[str, list[Token]] = {}
    current: list[Token] | None = None
    body_end = len(text.rstrip())
    depth = 0
    found = [*tokens(text)]
    for index, token in enumerate(found):
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind is Kind.SYMBOL else 0
        if depth == 0 and token.is_word(*_CLAUSES) and _opens_clause(found, index):
            if current is None:
                body_end = token.start
            current = clauses[token.text.upper()] = []
        elif current is not None:
            current.append(token)
    settings = clauses.get("SETTINGS", [])
    return Statement(
        body=text[:body_end].rstrip(),
        format=unquote(clauses["FORMAT"][0]) if clauses.get("FORMAT") else None,
        settings=_assignments(settings),
        settings_text=text[settings[0].start : settings[-1].end] if settings else "",
        has_outfile="INTO" in clauses,
    )


def _opens_clause(found: list[Token], index: int) -> bool:
    """Tell a clause's keyword from a column or alias of the same name."""
    after = found[index + 1 : index + 3]
    if not after or (index and found[index - 1].text in {",", ".", "AS"}):
        return False
    if found[index].is_word("INTO"):
        return after[0].is_word("OUTFILE")
    if found[index].is_word("FORMAT"):
        return after[0].kind in (Kind.WORD, Kind.QUOTED_NAME)
    return len(after) == 2 and after[0].kind is Kind.WORD and after[1].text == "="


def _assignments(found: list[Token]) -> dict[str, str]:
    """Return the plain `name = literal` pairs of a SETTINGS clause."""
    pairs: dict[str, str] = {}
    for index in range(0, len(found) - 2):
        name, equals, value = found[index : index + 3]
        if name.kind is Kind.WORD and equals.text == "=":
            sign = value.text if value.text in {"-", "+"} else ""
            value = found[index + 3] if sign and index + 3 < len(found) else value
            pairs[name.text] = sign + unquote(value)
    return pairs


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

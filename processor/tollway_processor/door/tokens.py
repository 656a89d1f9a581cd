"""Cuts SQL text into tokens the way ClickHouse's lexer does; what they mean is statement.py's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a token is; SPACE covers comments too."""

    SPACE = "space"
    WORD = "word"
    QUOTED_NAME = "quoted name"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """One token of a text, and where it stands in it."""

    kind: Kind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Tell whether this is one of these keywords, unquoted and in any casing."""
        return self.kind is Kind.WORD and self.text.upper() in words


_PATTERNS = {
    Kind.SPACE: r"\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z)",
    Kind.STRING: r"'(?:[^'\\]|\\.|'')*(?:'|\Z)",
    Kind.QUOTED_NAME: r"`(?:[^`\\]|\\.|``)*(?:`|\Z)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|\Z)",
    Kind.NUMBER: r"\d(?:[\w.]|(?<=[eEpP])[+-])*",
    Kind.WORD: r"[^\W\d]\w*",
    Kind.SYMBOL: r".",
}
_LEXER = re.compile(
    "|".join(f"(?P<{kind.name}>{pattern})" for kind, pattern in _PATTERNS.items()), re.DOTALL
)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a SQL text, without white space and comments."""
    for match in _LEXER.finditer(text):
        kind = Kind[match.lastgroup or "SYMBOL"]
        if kind is not Kind.SPACE:
            yield Token(kind, match.group(), match.start(), match.end())


def unquote(token: Token) -> str:
    """Return the name or the string that a token stands for, its quotes and escapes undone."""
    if token.kind not in (Kind.QUOTED_NAME, Kind.STRING):
        return token.text
    quote = token.text[0]
    inner = token.text[1:-1].replace(quote * 2, quote)
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), inner, flags=re.DOTALL)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}

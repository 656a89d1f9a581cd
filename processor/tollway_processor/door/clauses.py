"""Reads the clauses that end a statement with a result: INTO OUTFILE, FORMAT, SETTINGS."""

from __future__ import annotations

import re

from tollway_processor.door.faults import UNKNOWN_FORMAT, fault
from tollway_processor.door.tokens import Kind, Token, unquote

CLAUSE_WORDS = ("INTO", "FORMAT", "SETTINGS")
_NOTHING = Token(Kind.SPACE, "", 0, 0)


class Clauses:
    """Reads trailing clauses, each at most once (SETTINGS twice), up to the statement's end."""

    def __init__(self, text: str, found: list[Token]) -> None:
        self._text = text
        self._found = found
        self._position = 0
        self.outfile: str | None = None
        self.format: str | None = None
        self.settings: dict[str, str] = {}
        self.settings_texts: list[str] = []

    def read(self) -> bool:
        """Tell whether the tokens are clauses and nothing else."""
        while self._position < len(self._found):
            word = self._next().text.upper()
            if word == "INTO" and self.outfile is None:
                is_read = self._read_outfile()
            elif word == "FORMAT" and self.format is None:
                is_read = self._read_format()
            else:
                is_read = word == "SETTINGS" and self._read_settings()
            if not is_read:
                return False
        return True

    def _next(self) -> Token:
        token = self._found[self._position] if self._position < len(self._found) else _NOTHING
        self._position += 1
        return token

    def _read_outfile(self) -> bool:
        if not self._next().is_word("OUTFILE"):
            return False
        self.outfile = unquote(self._next())
        while self._position < len(self._found) and not self._is_clause():
            self._position += 1
        return True

    def _read_format(self) -> bool:
        token = self._next()
        if token.kind not in (Kind.WORD, Kind.QUOTED_NAME):
            return False
        self.format = _format_name(token)
        return True

    def _read_settings(self) -> bool:
        start = self._found[self._position].start if self._position < len(self._found) else 0
        while True:
            name, equals = self._next(), self._next()
            value = [self._next()]
            if name.kind is not Kind.WORD or equals.text != "=" or value[0] is _NOTHING:
                return False
            depth = int(value[0].text in {"(", "[", "{"})
            while self._position < len(self._found) and (depth or not self._is_clause(",")):
                value.append(self._next())
                depth += (value[-1].text in {"(", "[", "{"}) - (value[-1].text in {")", "]", "}"})
            is_plain = len(value) == 1
            self.settings[name.text] = (
                unquote(value[0]) if is_plain else self._text[value[0].start : value[-1].end]
            )
            if self._position >= len(self._found) or self._found[self._position].text != ",":
                break
            self._position += 1
        self.settings_texts.append(self._text[start : value[-1].end])
        return True

    def _is_clause(self, *others: str) -> bool:
        token = self._found[self._position]
        return token.is_word(*CLAUSE_WORDS) or token.text in others


def _format_name(token: Token) -> str:
    """Read FORMAT's name; a quoted one could hold more than a name, and goes into SQL again."""
    name = unquote(token)
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise fault(UNKNOWN_FORMAT, f"Unknown format {token.text}")
    return name

"""How text is written into a statement that a person is shown or the processor builds."""

from __future__ import annotations


def quote_string(value: str) -> str:
    """Write a value as a SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """Write a name as a SQL identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

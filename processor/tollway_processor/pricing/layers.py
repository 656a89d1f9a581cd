"""The two layers of SQL that price a call, taken in by every statement that does."""

from __future__ import annotations

import re

from tollway_processor import schema_files

_MACRO = re.compile(r"@(price_(?:rates|cost))")
# What the last layer gives, beside the items that only it needs.
RESULTS = ("cost_usd", "cost_status", "price_id", "priced_as")


def expand(sql: str) -> str:
    """Return a statement with @price_rates and @price_cost spelled out."""
    return _MACRO.sub(lambda found: schema_files.text(f"ingest/{found[1]}.sql").rstrip(), sql)

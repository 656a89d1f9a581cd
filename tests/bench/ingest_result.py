"""Own one line of the ingest benchmark: what a contender took for a load, and its table row."""

from __future__ import annotations

from dataclasses import dataclass

from ingest_load import Load

HEADINGS = (
    "contender", "load", "acknowledged spans/s", "spans per CPU-s", "p50 ms", "p99 ms",
    "RSS idle / peak MiB", "bytes a span on disk", "remarks",
)  # fmt: skip
_MIB = 1 << 20


@dataclass
class Result:
    """A contender's run of one load. CPU seconds are of its whole process tree and all merges."""

    contender: str
    load: Load
    cpu_s: float
    loaded_cpu_s: float
    idle_bytes: int
    peak_bytes: int
    disk_bytes: int
    note: str = ""
    what: str = ""

    @property
    def per_cpu_s(self) -> float:
        """Spans per CPU second, everything counted."""
        return self.load.spans / self.cpu_s

    def cells(self) -> tuple[str, ...]:
        """Return the row under HEADINGS."""
        load = self.load
        retries = f"{load.retries} retries" if load.retries else ""
        return (
            self.contender,
            self.what,
            f"{load.spans / load.seconds:,.0f}",
            f"{self.per_cpu_s:,.0f}",
            f"{load.p50_ms:,.0f}" if load.p50_ms else "",
            f"{load.p99_ms:,.0f}" if load.p99_ms else "",
            f"{self.idle_bytes / _MIB:,.0f} / {self.peak_bytes / _MIB:,.0f}",
            f"{self.disk_bytes / load.spans:,.0f}",
            ", ".join(text for text in (self.note, retries) if text),
        )


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""The report as Markdown that fits a comment on a pull request."""

from __future__ import annotations

import re

from tollway_processor.signals.report.document import COLUMNS, Report, cells
from tollway_processor.signals.statistics import Role, Signal, State

MOST_CHARACTERS = 60_000  # GitHub takes 65,536 in a comment
_SETTLED = (State.HELD, State.IMPROVED)
_MARKS = {
    State.REGRESSED: "🔴",
    State.INCONCLUSIVE: "🟡",
    State.INSUFFICIENT: "⚪",
    State.IMPROVED: "🟢",
    State.HELD: "🟢",
}


def markdown(report: Report) -> str:
    """Return the decision, what needs a look as a table, and the rest folded away."""
    verdict = report.evaluation.verdict
    open_signals = [s for s in report.signals if _needs_a_look(s)]
    settled = [s for s in report.signals if not _needs_a_look(s)]
    lines = [f"**{_escape(verdict.headline)}**", "", _escape(_subtitle(report)), ""]
    if open_signals:
        lines += _table(open_signals)
    if report.examples:
        lines += ["", "Traces to look at:", ""]
        lines += [
            f"- {_escape(e.cohort)}, {_escape(e.metric)}: `{e.trace_id}`" for e in report.examples
        ]
    if settled:
        lines += ["", "<details>", f"<summary>{len(settled)} more signals</summary>", ""]
        lines += [*_table(settled), "", "</details>"]
    return _cut(lines)


def _needs_a_look(signal: Signal) -> bool:
    if signal.state is State.REGRESSED:
        return True
    return signal.role is Role.GUARDRAIL and signal.state not in _SETTLED


def _subtitle(report: Report) -> str:
    parts = [report.title, report.window, report.made_at]
    return ". ".join(part for part in parts if part) + "."


def _table(signals: list[Signal]) -> list[str]:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for signal in signals:
        line = list(cells(signal))
        line[2] = f"{_MARKS[signal.state]} {line[2]}"
        lines.append("| " + " | ".join(_escape(cell) for cell in line) + " |")
    return lines


def _escape(text: str) -> str:
    """Names come from outside: they may not become markup, links or mentions."""
    text = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|@#~])", r"\\\1", text)


def _cut(lines: list[str]) -> str:
    size, kept = 0, []
    for line in lines:
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            is_folded = "<details>" in kept
            kept += ["", "</details>"] if is_folded else []
            kept += ["", f"{len(lines) - len(kept)} more lines: `tollway gate --format html`."]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"

"""The report as one self-contained page: decision, cost beside quality, forest plot, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from tollway_processor.signals.alarm import first_gains
from tollway_processor.signals.report import forest
from tollway_processor.signals.report.document import (
    Report,
    by_metric,
    interval,
    losses,
    place,
    savings,
    sizes,
)
from tollway_processor.signals.statistics import (
    Role,
    Signal,
    describe,
    describe_values,
    format_harm,
)

HOW_TO_READ = (
    "The dot is the observed harm, the line the range that the data leaves possible; both are "
    "drawn in units of what is allowed for that metric: left of the solid line the candidate is "
    "better, right of it worse, and a line that ends before the dashed one has held. The ranges "
    "are always-valid: they hold however often one looks."
)
MULTIPLICITY = (
    "A candidate that is equal everywhere is rolled back with a probability of at most 5 %, over "
    "all its metrics, cohorts and looks together (an average of e-values); one that is harmful by "
    "exactly the margin on a cohort that matters is promoted with at most 5 % (every guardrail "
    "has to hold on its own)."
)


def html(report: Report) -> str:
    """Return the page; it loads nothing from elsewhere, so that it can be mailed and archived."""
    verdict = report.evaluation.verdict
    decision = escape(str(verdict.decision))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{decision}: {escape(report.title)}</title><style>{_css()}</style></head><body>",
        f"<h1>{escape(verdict.headline)}</h1>",
        f'<p><span class="decision {decision}">{decision}</span> {escape(report.title)}</p>',
        f'<p class="meta">{escape(_facts(report))}</p>',
        _alarm(report),
        _sides(report),
        _forest(report),
        _reasons(report),
        _examples(report),
        f'<h2>How to read this</h2><p class="note">{HOW_TO_READ}</p>'
        f'<p class="note">{MULTIPLICITY}</p></body></html>\n',
    ]
    return "\n".join(part for part in parts if part)


@cache
def _css() -> str:
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def _facts(report: Report) -> str:
    needed = report.evaluation.verdict.traces_needed
    facts = [report.window, report.made_at]
    if needed:
        days = report.evaluation.days_needed
        soon = f", {days:,.1f} days at the present rate" if days else ""
        facts.append(f"About {needed:,} more candidate traces until all is decided{soon}")
    return ". ".join(fact for fact in facts if fact)


def _alarm(report: Report) -> str:
    alarm = report.evaluation.verdict.cheaper_but_worse
    if alarm is None:
        return ""
    lines = [describe(signal) for signal in (*first_gains(alarm), *alarm.losses[:3])]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f'<div class="alarm"><strong class="bad">CHEAPER_BUT_WORSE</strong><ul>{items}</ul></div>'
    )


def _sides(report: Report) -> str:
    sides = (
        ("Cost and speed", savings(report.signals)),
        ("Quality", losses(report.signals)),
    )
    columns = "".join(
        f"<div><h2>{title}</h2>{''.join(_row(signal, with_metric=True) for signal in found)}</div>"
        for title, found in sides
        if found
    )
    return f'<div class="sides">{columns}</div>' if columns else ""


def _forest(report: Report) -> str:
    groups = by_metric(report.signals)
    if not groups:
        return ""
    axis = f'<div class="row axis-row"><div class="name"></div>{forest.axis()}<div class="figures">'
    axis += "<span>baseline to candidate; harm, from and to; traces</span></div></div>"
    body = "".join(_group(name, signals) for name, signals in groups)
    return f"<h2>Every metric and cohort</h2>{axis}{body}"


def _group(name: str, signals: Sequence[Signal]) -> str:
    first = next((s for s in signals if s.comparison), None)
    facts = [_ROLES[signals[0].role]]
    if first is not None and first.comparison is not None:
        margin = format_harm(first.comparison, first.comparison.criteria.margin)
        facts.insert(0, f"allowed {margin}")
    head = f"<h3>{escape(name)} <small>{escape(', '.join(facts))}</small></h3>"
    return head + "".join(_row(signal) for signal in signals)


_ROLES = {
    Role.GUARDRAIL: "guardrail: must hold",
    Role.TRIPWIRE: "tripwire: rolls back, keeps nothing waiting",
    Role.GOAL: "goal: must not get worse",
    Role.WATCHED: "watched, decides nothing",
}


def _row(signal: Signal, *, with_metric: bool = False) -> str:
    comparison = signal.comparison
    name = f"{signal.metric}, {place(signal)}" if with_metric else place(signal)
    figures = escape(signal.missing or "not measured on both sides")
    if comparison is not None and not (signal.missing and not comparison.sizes.n_candidate):
        figures = (
            f"{escape(describe_values(comparison))}<br><span>harm {escape(interval(comparison))}; "
            f"{escape(sizes(comparison))}{escape(_need(signal))}</span>"
        )
    return (
        f'<div class="row"><div class="name">{escape(name)} '
        f'<span class="state {forest.TONES[signal.state]}">{escape(str(signal.state))}</span></div>'
        f'{forest.row(comparison, describe(signal))}<div class="figures">{figures}</div></div>'
    )


def _need(signal: Signal) -> str:
    needed = signal.comparison.traces_needed if signal.comparison else None
    return f"; about {needed:,} more needed" if needed else ""


def _reasons(report: Report) -> str:
    items = "".join(f"<li>{escape(reason)}</li>" for reason in report.evaluation.verdict.reasons)
    return f"<h2>Reasons, the most important first</h2><ol>{items}</ol>"


def _examples(report: Report) -> str:
    if not report.examples and not report.sql:
        return ""
    items = "".join(
        f"<li>{escape(e.cohort)}, {escape(e.metric)}: <code>{escape(e.trace_id)}</code></li>"
        for e in report.examples
    )
    sql = f"<pre>{escape(report.sql)}</pre>" if report.sql else ""
    return f"<h2>Traces to look at</h2><ul>{items}</ul>{sql}"

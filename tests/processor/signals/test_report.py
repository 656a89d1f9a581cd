"""The report says the decision first, shows every signal where it belongs, and trusts no name."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from tollway_processor.signals.arms import RouteArms
from tollway_processor.signals.evaluate import evaluate
from tollway_processor.signals.report import Example, Report, forest, html, markdown, table
from tollway_processor.signals.report.document import by_metric, cells
from tollway_processor.signals.report.markdown import MOST_CHARACTERS
from tollway_processor.signals.statistics import Arm, Criteria, Role, compare_rate, rate_arm
from tollway_processor.signals.traffic import Traffic

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a page holds: its tags in order, that each is closed, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def route(failed, cohort="rare"):
    """A student at a tenth of the cost; its score fails as told on the rare cohort."""
    arms = {}
    for variant, mean, bad in (("teacher", -5.0, 6), ("student", -7.3, failed)):
        for name, n, count in (("easy", 1500, 60), (cohort, 150, bad)):
            arms[name, variant, "error"] = rate_arm(n, 0)
            arms[name, variant, "log_cost_usd"] = Arm(n, n * mean, n * mean * mean + 0.09 * n)
            arms[name, variant, "score_fail:json_valid"] = rate_arm(n, count)
    return RouteArms(arms)


def report(failed=60, cohort="rare", **facts):
    arms = route(failed, cohort)
    return Report(evaluate(facts.pop("route", "refunds"), arms, "teacher", "student"), **facts)


def test_first_sentence_is_the_decision_and_its_reason():
    told = report()
    headline = told.evaluation.verdict.headline
    assert headline.startswith("Roll back: ")
    assert "json_valid" in headline
    page = Page(html(told))
    assert page.text.split("</style>")[-1].index(headline) < page.text.index("CHEAPER_BUT_WORSE")
    assert markdown(told).replace("\\", "").startswith(f"**{headline}**")
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table(told))
    assert " ".join(shown.get().split()).startswith(headline)


def test_page_is_whole_and_loads_nothing():
    page = Page(html(report(examples=(Example("ab" * 16, "rare", "json_valid", "1"),))))
    assert page.open == []
    names = [name for name, _ in page.tags]
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert not any({"src", "href"} & set(attributes) for _, attributes in page.tags)
    (viewport,) = [a["content"] for name, a in page.tags if a.get("name") == "viewport"]
    assert "width=device-width" in viewport
    assert "ab" * 16 in page.text


def test_page_draws_every_signal_with_its_words():
    told = report()
    page = Page(html(told))
    drawn = [a["aria-label"] for name, a in page.tags if a.get("class") == "plot"]
    for signal in told.signals:
        assert any(signal.metric in label and signal.place in label for label in drawn)


@pytest.mark.parametrize("name", [HOSTILE, "a|b", "`x` @everyone", "line\nbreak", "[l](u)"])
def test_names_from_outside_are_text(name):
    told = report(cohort=name, route=name)
    page = Page(html(told))
    assert page.open == []
    assert "script" not in [tag for tag, _ in page.tags]
    text = markdown(told)
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) == 8
    assert not re.search(r"(?<!\\)[<@`](?=script|everyone|x)", text)


def test_markdown_fits_a_comment_and_stays_whole():
    arms = {}
    for number in range(900):
        for variant, bad in (("teacher", 2), ("student", 2)):
            cohort = f"cohort-{number}"
            arms[cohort, variant, "error"] = rate_arm(100, 0)
            arms[cohort, variant, "score_fail:json_valid"] = rate_arm(100, bad)
    text = markdown(Report(evaluate("r", RouteArms(arms), "teacher", "student")))
    assert len(text) < MOST_CHARACTERS + 200
    assert text.count("<details>") == text.count("</details>")
    assert "more lines" in text


def test_settled_signals_are_folded_and_open_ones_are_not():
    shown, folded = markdown(report()).split("<details>")
    assert "REGRESSED" in shown
    assert "REGRESSED" not in folded
    assert "HELD" in folded
    assert "HELD" not in shown


def test_days_until_all_is_decided_follow_from_the_traffic():
    arms = route(8)
    day = Traffic(last_s=86_400, stretches={0: {"teacher": 1650.0, "student": 1650.0}})
    waiting = evaluate("r", RouteArms(arms.arms, traffic=day), "teacher", "student")
    assert waiting.verdict.traces_needed
    assert waiting.days_needed
    assert (
        f"{waiting.days_needed:,.1f} days at the present rate" in Page(html(Report(waiting))).text
    )


def test_worst_metric_and_the_whole_route_stand_on_top():
    name, signals = by_metric(report().signals)[0]
    assert name == "score_fail:json_valid"
    assert [signal.cohort for signal in signals] == [None, "rare", "easy"]


@pytest.mark.parametrize(("harm", "side"), [(-0.03, -1), (0.0, 0), (0.03, 1)])
def test_dot_stands_on_the_side_of_the_harm(harm, side):
    comparison = compared(rate_arm(4000, 200), rate_arm(4000, round(4000 * (0.05 + harm))))
    drawn = forest.row(comparison, "words")
    (dot,) = map(float, re.findall(r'<circle class="\w+" cx="([\d.]+)%"', drawn))
    assert (dot > 50) - (dot < 50) == side
    ((low, high),) = re.findall(r'class="interval \w+" x1="([\d.]+)%" x2="([\d.]+)%"', drawn)
    assert float(low) < dot < float(high)
    (margin,) = map(float, re.findall(r'class="margin" x1="([\d.]+)%"', drawn))
    assert (float(high) < margin) == (comparison.upper < comparison.criteria.margin)


def test_effect_beyond_the_scale_is_an_arrow_at_its_end():
    comparison = compared(rate_arm(2000, 10), rate_arm(2000, 1900), margin=0.01)
    drawn = forest.row(comparison, "words")
    assert "<circle" not in drawn
    assert 'points="-8,6 0,13 -8,20"' in drawn


@pytest.mark.parametrize("role", list(Role))
def test_page_says_what_each_role_may_do(role):
    told = report()
    worst = replace(told.evaluation.measured[0].signal, role=role)
    measured = (replace(told.evaluation.measured[0], signal=worst),)
    page = Page(html(Report(replace(told.evaluation, measured=measured))))
    assert str(role) in page.text
    assert page.open == []


def test_signal_without_a_comparison_is_drawn_as_not_measured():
    arms = dict(route(6).arms)
    arms["easy", "teacher", "score_fail:cited"] = rate_arm(100, 5)
    page = Page(html(Report(evaluate("r", RouteArms(arms), "teacher", "student"))))
    assert "only teacher has it" in page.text


def compared(baseline, candidate, margin=0.03):
    return compare_rate(baseline, candidate, Criteria(margin, 0.01), prior_rate=0.05)


def test_names_keep_to_one_line():
    """A line break would end the first sentence, an escape would steer the terminal."""
    name = "two\nlines\x1b[2J \u202e"
    arms = {(f"{c}{name}" if c else "", s, m): a for (c, s, m), a in route(60).arms.items()}
    report = Report(evaluate(f"r{name}", RouteArms(arms), "teacher", "student"))
    assert report.title == "Route rtwo lines [2J: student against teacher"
    for text in (report.evaluation.verdict.headline, *itertools.chain(*map(cells, report.signals))):
        assert text.isprintable()


def test_terminal_shows_the_worst_and_counts_the_rest():
    arms = {
        (f"{cohort}{k}", side, name): arm
        for (cohort, side, name), arm in route(6).arms.items()
        for k in range(40)
    }
    report = Report(evaluate("r", RouteArms(arms), "teacher", "student"))
    with (console := Console(width=220, file=io.StringIO())).capture() as shown:
        console.print(table(report))
    assert len(shown.get().splitlines()) < 130
    assert f"{len(report.signals) - 100} more signals: --format html or json" in shown.get()

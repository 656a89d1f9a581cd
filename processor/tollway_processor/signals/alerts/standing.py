"""How every candidate stands now, as gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from tollway_processor.errors import TollwayError
from tollway_processor.ingest.counters import Counters, Series, labels_of
from tollway_processor.signals.alarm import ALARM
from tollway_processor.signals.arms import labelled
from tollway_processor.signals.evaluate import Evaluation, losing_cohorts
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.store.client import Store

_Candidate = tuple[str, str, str]  # route, baseline, candidate


class Standing:
    """The newest verdict of each candidate, and the cohorts on which it is cheaper but worse."""

    def __init__(self, store: Store, counters: Counters) -> None:
        self._verdicts: dict[_Candidate, str] = {}
        self._alarms: dict[_Candidate, list[str]] = {}
        self._load(store)
        counters.gauges("tollway_route_verdict", self._verdict_series)
        counters.gauges("tollway_cheaper_but_worse", self._alarm_series)

    def update(self, evaluations: Iterable[Evaluation]) -> None:
        """Take in what was just found."""
        for found in evaluations:
            baseline, candidate = (
                labelled(found.dimension, side) for side in (found.baseline, found.candidate)
            )
            key = found.route, baseline, candidate
            self._verdicts[key] = str(found.verdict.decision)
            self._alarms[key] = [cohort or WHOLE_ROUTE for cohort in losing_cohorts(found)]

    def _load(self, store: Store) -> None:
        try:
            verdicts = store.rows(
                "SELECT route, baseline, candidate, verdict, cheaper_but_worse "
                "FROM latest_route_verdicts"
            )
            alarms = store.rows(
                "SELECT route, baseline, candidate, cohort FROM latest_route_signals "
                "WHERE state = {alarm:String}",
                {"alarm": ALARM},
            )
        except TollwayError:
            return  # the gauges fill as routes are evaluated
        for row in verdicts:
            key = str(row["route"]), str(row["baseline"]), str(row["candidate"])
            self._verdicts[key] = str(row["verdict"])
            self._alarms[key] = []
        for row in alarms:
            key = str(row["route"]), str(row["baseline"]), str(row["candidate"])
            self._alarms.setdefault(key, []).append(str(row["cohort"]))

    def _verdict_series(self) -> Series:
        return {
            labels_of(route=route, baseline=baseline, candidate=candidate, verdict=verdict): 1.0
            for (route, baseline, candidate), verdict in list(self._verdicts.items())
        }

    def _alarm_series(self) -> Series:
        return {
            labels_of(route=route, cohort=cohort, baseline=baseline, candidate=candidate): 1.0
            for (route, baseline, candidate), cohorts in list(self._alarms.items())
            for cohort in cohorts
        }

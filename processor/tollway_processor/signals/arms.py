"""Reads from a store what evaluate.py compares: arms, epochs, histograms, pairs, past verdicts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tollway_processor import schema_files
from tollway_processor.signals.latency import EMPTY, Histogram
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.signals.presence import Presence, with_absences
from tollway_processor.signals.statistics import Arm, PairCounts
from tollway_processor.signals.traffic import Traffic, traffic_of
from tollway_processor.store.client import Parameters

# Runs a SELECT and returns its result in the format asked for: a store's, or the SQL door's.
Query = Callable[[str, Parameters, str], bytes]
Key = tuple[str, str, str]  # (cohort, side, measured name)

Things = dict[str, dict[str, Presence]]  # what is measured, and each side's presence

DIMENSIONS = ("variant", "model", "release", "prompt", "period")
SUMS = (
    "n", "total", "total_sq", "clusters", "cluster_total_sq", "cluster_cross", "cluster_size_sq",
)  # fmt: skip
_TRACES_A_STATEMENT = 250_000  # bounds the engine's memory: about 2 KB a trace


@dataclass(frozen=True, slots=True)
class Slice:
    """Which traces, and what divides them into sides."""

    since_s: int
    "Start, s since 1970, UTC."
    dimension: str = "variant"
    "variant, model, release, prompt or period (before and after split_s)."
    split_s: int = 0

    def label(self, side: str) -> str:
        """Return a side as tables show it: release:1.4.2, and a variant as it is."""
        return labelled(self.dimension, side)


def labelled(dimension: str, side: str) -> str:
    """Return a side as tables show it."""
    return side if dimension == "variant" else f"{dimension}:{side}"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mirrored answers to the same inputs on one cohort and metric."""

    counts: PairCounts
    differences: Arm
    "Candidate minus baseline of each pair, clustered."
    baseline_mean: float

    def inverted(self) -> PairCounts:
        """Return the counts of a good event: its absence is the bad one."""
        told = self.counts
        only = told.n - told.only_candidate_bad - told.only_baseline_bad - told.both_bad
        return PairCounts(told.n, told.only_baseline_bad, told.only_candidate_bad, only)


class RolledBack(NamedTuple):
    """When a candidate was found credibly worse (UTC, as tables take it), and what for."""

    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class RouteArms:
    """What is known of one route's sides."""

    arms: Mapping[Key, Arm]
    epochs: Mapping[Key, Mapping[int, Arm]] = field(default_factory=dict)
    "The arms within epochs of constant shares; empty while there is one epoch."
    latency: Mapping[Key, Histogram] = field(default_factory=dict)
    "(cohort, side, duration | ttft) to its histogram."
    latency_epochs: Mapping[Key, Mapping[int, Histogram]] = field(default_factory=dict)
    "The histograms within epochs; empty while there is one epoch."
    pairs: Mapping[tuple[str, str, str, str], Pairs] = field(default_factory=dict)
    "(cohort, baseline, candidate, measured name) to mirrored pairs."
    traffic: Traffic = field(default_factory=Traffic)
    thresholds: Mapping[Key, int] = field(default_factory=dict)
    "(cohort or *, baseline as tables show it, tail metric) to its frozen bin."


def store_query(query: Callable[..., bytes]) -> Query:
    """Return a Query from a `query(sql, parameters, format=…)` of a store or reader."""
    return lambda sql, parameters, form: query(sql, parameters, format=form)


def decoded_rows(result: bytes) -> list[dict[str, Any]]:
    """Return the rows of a result in ClickHouse's format JSON."""
    return list(json.loads(result)["data"]) if result else []


def read_arms(
    query: Query,
    routes: Sequence[str],
    cut: Slice,
    config: SignalsConfig | None = None,
    traffic: Mapping[str, Traffic] | None = None,
) -> dict[str, RouteArms]:
    """Return what is known of each route that has traces in the slice.

    traffic: what read_traffic said of the routes, where it was asked before.
    """
    config = config or SignalsConfig()
    if traffic is None:
        traffic = read_traffic(query, routes, cut, config)
    traffic = {route: traffic[route] for route in routes if route in traffic}
    found: dict[str, RouteArms] = {}
    for some in _statements(traffic):
        found.update(_read(query, some, cut, config, traffic))
    return found


def _statements(traffic: Mapping[str, Traffic]) -> Iterator[list[str]]:
    """Yield the routes in as few groups as memory allows: each reads the table of traces anew."""
    some: list[str] = []
    traces = 0.0
    for route, told in traffic.items():
        if some and traces + told.traces > _TRACES_A_STATEMENT:
            yield some
            some, traces = [], 0.0
        some.append(route)
        traces += told.traces
    if some:
        yield some


def _read(
    query: Query,
    routes: list[str],
    cut: Slice,
    config: SignalsConfig,
    traffic: Mapping[str, Traffic],
) -> dict[str, RouteArms]:
    parameters = _parameters(routes, cut, config) | _warm_up(routes, traffic)
    arms, things = _arms(query, parameters)
    starts = {
        route: with_absences(traffic[route].epoch_starts(), things.get(route, {}).values())
        for route in routes
    }
    changing = [route for route in routes if starts.get(route)]
    epochs: dict[str, dict[Key, dict[int, Arm]]] = {}
    if changing:
        cuts = {"routes": changing, "epochs": [starts[route] for route in changing]}
        cuts |= _warm_up(changing, traffic)
        for row, told in _cut_arms(query, {**parameters, **cuts}):
            of_route = epochs.setdefault(row["route"], {})
            for key, arm in told.items():
                of_route.setdefault(key, {})[row["epoch"]] = arm
    latency = _latency(query, {**parameters, "epochs": [starts[route] for route in routes]})
    frozen: dict[str, dict[Key, int]] = {}
    for row in _rows(query, "latency_thresholds", {"routes": routes}):
        key = (row["cohort"], row["baseline"], row["metric"])
        frozen.setdefault(row["route"], {})[key] = row["bin"]
    return {
        route: RouteArms(
            of_route,
            epochs.get(route, {}),
            {key: sum(told.values(), EMPTY) for key, told in latency.get(route, {}).items()},
            latency.get(route, {}) if starts.get(route) else {},
            {},
            traffic.get(route, Traffic()),
            frozen.get(route, {}),
        )
        for route, of_route in arms.items()
    }


def read_traffic(
    query: Query, routes: Sequence[str], cut: Slice, config: SignalsConfig | None = None
) -> dict[str, Traffic]:
    """Return the traffic of each route in the slice: much cheaper than its arms."""
    parameters = _parameters(list(routes), cut, config or SignalsConfig())
    warm_up = (config or SignalsConfig()).warm_up_traces
    return traffic_of(_rows(query, "traffic", parameters), warm_up)


def with_pairs(
    query: Query,
    arms: RouteArms,
    route: str,
    baseline: str,
    cut: Slice,
    config: SignalsConfig | None = None,
) -> RouteArms:
    """Return the arms with the mirrored pairs of each other side with the baseline."""
    if not arms.traffic.mirrored:
        return arms
    parameters = _parameters([route], cut, config or SignalsConfig())
    rows = _rows(query, "pairs", {**parameters, "baselines": [baseline]})
    found = {(r["cohort"], baseline, r["candidate"], r["metric"]): _pairs(r) for r in rows}
    return replace(arms, pairs=found)


def _pairs(row: Mapping[str, Any]) -> Pairs:
    differences = _arm([row[name] for name in SUMS])
    counts = (row["only_candidate"], row["only_baseline"], row["both_bad"])
    return Pairs(
        PairCounts(differences.n, *counts),
        differences,
        row["baseline_total"] / differences.n,
    )


def _parameters(routes: list[str], cut: Slice, config: SignalsConfig) -> dict[str, object]:
    return {
        "routes": routes,
        "since_s": max(cut.since_s, 0),
        "dimension": cut.dimension,
        "split_s": cut.split_s,
        "epochs": [],
        "long_context_tokens": config.long_context_tokens,
        "non_latin_share": config.non_latin_share,
        "outcome_until_s": int(time.time()) - config.outcome_delay_s,
    }


def _warm_up(routes: Sequence[str], traffic: Mapping[str, Traffic]) -> dict[str, Any]:
    """Return from when on the latency of each side counts; nothing where all of it does."""
    if not any(traffic[route].warm_s for route in routes):
        return {"warm_s": [], "warm_sides": []}
    warm = [traffic[route].warm_s for route in routes]
    return {"warm_s": [[*of.values()] for of in warm], "warm_sides": [[*of] for of in warm]}


def _arms(
    query: Query, parameters: Parameters
) -> tuple[dict[str, dict[Key, Arm]], dict[str, Things]]:
    found: dict[str, dict[Key, Arm]] = {}
    things: dict[str, Things] = {}
    for row, arms in _cut_arms(query, parameters):
        found.setdefault(row["route"], {}).update(arms)
        if (thing := _thing(row)) is not None:
            (arm,) = [arm for key, arm in arms.items() if key[2] in ("error", row.get("metric"))]
            seen = Presence(row["first_s"], row["last_s"], arm.effective_clusters)
            sides = things.setdefault(row["route"], {}).setdefault(thing, {})
            side = row["side"]
            sides[side] = sides[side] | seen if side in sides else seen
    return found, things


def _thing(row: Mapping[str, Any]) -> str | None:
    """Return what a row of arms is present of: a labelled cohort, or a score over all of them.

    An outcome is a result: what comes early or late is told by its traces.
    """
    if row["cohort"].startswith("builtin:"):
        return None
    metric = row.get("metric")
    if metric is None:
        return f"cohort:{row['cohort']}"
    return metric if metric.startswith("score_fail:") else None


def _cut_arms(
    query: Query, parameters: Parameters
) -> Iterator[tuple[dict[str, Any], dict[Key, Arm]]]:
    """Yield each row of arms (one epoch, cohort and side) with what it tells."""
    for row in _rows(query, "arms", parameters):
        place = row["cohort"], row["side"]
        sums = zip(*(row[name] for name in SUMS), strict=True)
        told = zip(row["names"], sums, strict=True)
        yield row, {(*place, name): _arm(values) for name, values in told if values[0]}
    for row in _rows(query, "named_arms", parameters):
        key = (row["cohort"], row["side"], row["metric"])
        yield row, {key: _arm([row[name] for name in SUMS])}


def _arm(values: Sequence[float]) -> Arm:
    n, total, total_sq, clusters, *rest = values
    return Arm(int(n), total, total_sq, int(clusters), *rest)


def _latency(query: Query, parameters: Parameters) -> dict[str, dict[Key, dict[int, Histogram]]]:
    found: dict[str, dict[Key, dict[int, Histogram]]] = {}
    for row in _rows(query, "latency_bins", parameters):
        key = (row["cohort"], row["side"], row["measure"])
        by_epoch = found.setdefault(row["route"], {}).setdefault(key, {})
        by_epoch[row["epoch"]] = Histogram(row["bins"], row["counts"])
    return found


def _rows(query: Query, name: str, parameters: Parameters) -> Iterable[dict[str, Any]]:
    """Yield the rows of schemas/rollup/NAME.sql, read by columns: rows are large here."""
    result = query(schema_files.with_parts(f"rollup/{name}.sql"), parameters, "ArrowStream")
    if not result:
        return
    # Taken in when first needed: it weighs 27 MiB, and an idle processor has nothing to compare.
    import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

    with pa.ipc.open_stream(result) as reader:
        for batch in reader:
            names = batch.schema.names
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                yield dict(zip(names, cells, strict=True))


def read_rolled_back(
    query: Query, routes: Sequence[str], since_s: int
) -> dict[tuple[str, str, str], RolledBack]:
    """Return every ROLLBACK that arose since a time, by (route, baseline, candidate): it stays."""
    parameters: Parameters = {"routes": list(routes), "since_s": max(since_s, 0)}
    return {
        (row["route"], row["baseline"], row["candidate"]): RolledBack(
            row["rolled_back_at"], row["rolled_back_for"]
        )
        for row in _rows(query, "rolled_back", parameters)
    }

"""The rows and the SQL of query.py: both schemas filled from the same numbers, the same questions."""

from __future__ import annotations

SPANS_A_TRACE = 5
TOLLWAY_NAMES = ["spans", "traces", "route_stats", "trace_days", "told_answers"]
COLLECTOR_NAMES = ["otel_traces", "otel_traces_trace_id_ts"]

# One row a span: trace `i`, span `j` of it (0 the root, 1 to 3 model calls, 4 a tool).
_MADE = """
SELECT
    {first:UInt64} + intDiv(number, 5) AS i, number % 5 AS j, cityHash64(i, j) AS chance,
    lower(hex(MD5(toString(i)))) AS trace_id, leftPad(hex(chance), 16, '0') AS span_upper, lower(span_upper) AS span_id,
    if(j = 0, '', leftPad(lower(hex(cityHash64(i, toUInt8(0)))), 16, '0')) AS parent,
    fromUnixTimestamp64Nano(toInt64(({day:UInt32} * 86400 + i * 7919 % 86000) * 1000000000 + j * 150000000), 'UTC') AS began,
    toUInt64(if(j = 0, 900000000, 100000000) + chance % 400000000) AS took,
    concat('route-', toString(i % 20)) AS route, concat('cohort-', toString(i % 3)) AS cohort,
    if(i % 2 = 0, 'teacher', 'student') AS variant, if(i % 2 = 0, 'gpt-4o', 'gpt-4o-mini') AS model,
    concat('session-', toString(intDiv(i, 4))) AS session, concat('user-', toString(i % 50000)) AS user,
    j BETWEEN 1 AND 3 AS is_call,
    toUInt32(if(is_call, 400 + chance % 2000, 0)) AS tokens_in, toUInt32(if(is_call, 20 + chance % 300, 0)) AS tokens_out,
    toUInt32(if(i % 3 = 0, intDiv(tokens_in, 2), 0)) AS tokens_cached,
    CAST(tokens_in * 25 + tokens_out * 100 AS Decimal(38, 24)) / 10000000 AS usd,
    chance % 97 = 0 AS is_error, if(j = 4, concat('tool_', toString(i % 12)), '') AS tool,
    multiIf(j = 0, 'POST /answer', j = 4, concat('execute_tool ', tool), concat('chat ', model)) AS name,
    concat('chatcmpl-', trace_id, toString(j)) AS response,
    map('server.port', '443', 'gen_ai.request.temperature', '0.2', 'thread.id', toString(i % 64)) AS others
FROM numbers({traces:UInt64} * 5)
"""

TOLLWAY = {
    "spans": f"""
INSERT INTO spans (
    trace_id, span_id, parent_span_id, started_at, duration_ns, service, name, kind, status, operation, error_type,
    route, cohort, variant, provider, request_model, response_model, response_id, input_tokens, output_tokens,
    cache_read_tokens, finish_reasons, tool_name, ttft_ns, session_id, user_id, endpoint, retries, cost_usd,
    cost_status, price_id, resource, attributes, scope_name, ingested_at)
SELECT
    trace_id, span_id, parent, began, took, 'assistant', name, if(is_call, 'CLIENT', 'INTERNAL'),
    if(is_error, 'ERROR', 'UNSET'), multiIf(is_call, 'chat', j = 4, 'execute_tool', ''), if(is_error, 'timeout', ''),
    route, cohort, variant, if(is_call, 'openai', ''), if(is_call, model, ''), if(is_call, model, ''),
    if(is_call, response, ''), if(is_call, tokens_in, NULL), if(is_call, tokens_out, NULL),
    if(is_call, tokens_cached, NULL), if(is_call, ['stop'], []), tool, if(is_call, intDiv(took, 3), NULL), session,
    user, if(is_call, 'api.openai.com', ''), chance % 50 = 0, if(is_call, usd, NULL), if(is_call, 'computed', ''),
    if(is_call, concat('book:openai/', model, ':default:2024-08-06'), ''), map('host.name', concat('host-', toString(i % 8))),
    others, 'tollway', began + INTERVAL 2 SECOND
FROM ({_MADE})
SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 1500000000
""",
    "trace_days": """
INSERT INTO trace_days
SELECT trace_id, toDate(started_at) AS day, min(ingested_at) FROM spans
WHERE toDate(started_at) = toDate({day:UInt32}) GROUP BY trace_id, day
""",
    "told_answers": """
INSERT INTO told_answers
SELECT cityHash64(response_id), trace_id, span_id, started_at, duration_ns, scope_name, false, true, 3,
       ifNull(input_tokens, 0), ifNull(output_tokens, 0), ingested_at
FROM spans WHERE toDate(started_at) = toDate({day:UInt32}) AND response_id != ''
""",
    "traces": """
INSERT INTO traces (
    trace_id, route, route_source, cohort, variant, service, name, session_id, user_id, started_at, duration_ns, spans,
    calls, tool_calls, tool_errors, errors, retries, models, input_tokens, output_tokens, cache_read_tokens, ttft_ns,
    cost_usd, rolled_up_at)
SELECT
    trace_id, any(route), 'tollway.route', any(cohort), any(variant), 'assistant', 'POST /answer', any(session_id),
    any(user_id), min(started_at), max(duration_ns), count(), countIf(operation = 'chat'),
    countIf(operation = 'execute_tool'), countIf(operation = 'execute_tool' AND status = 'ERROR'),
    countIf(operation = 'chat' AND status = 'ERROR'), sum(retries), groupUniqArrayIf(response_model, operation = 'chat'),
    sum(s.input_tokens), sum(s.output_tokens), sum(s.cache_read_tokens), any(s.ttft_ns), sum(s.cost_usd), now64(9)
FROM spans AS s WHERE toDate(started_at) = toDate({day:UInt32})
GROUP BY trace_id
""",
    "route_stats": """
INSERT INTO route_stats (
    bucket, route, cohort, variant, traces, sessions, calls, tool_calls, errors, input_tokens, output_tokens, cost_usd,
    latency_sketch, ttft_sketch, computed_at)
SELECT
    toStartOfHour(started_at) AS bucket, route, cohort, variant, count(), uniqExact(session_id), sum(t.calls),
    sum(t.tool_calls), countIf(t.errors > 0), sum(t.input_tokens), sum(t.output_tokens), sum(ifNull(t.cost_usd, 0)),
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration_ns / 1e6),
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(ifNull(ttft_ns, 0) / 1e6, isNotNull(ttft_ns)), now64(9)
FROM traces AS t WHERE toDate(started_at) = toDate({day:UInt32})
GROUP BY bucket, route, cohort, variant
""",
}

# Further days are the first one again, under other ids in the same order: a third of the work.
_ID = "concat(substring(trace_id, 1, 28), leftPad(toString({ahead:UInt32}), 4, '0'))"
_LARGE = "max_threads = 1, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 1500000000"
AGAIN = {
    "spans": f"""
INSERT INTO spans SELECT * REPLACE ({_ID} AS trace_id, s.started_at + INTERVAL {{ahead:UInt32}} DAY AS started_at,
    s.ingested_at + INTERVAL {{ahead:UInt32}} DAY AS ingested_at, if(s.response_id = '', '', concat('chatcmpl-', {_ID}, s.span_id)) AS response_id)
FROM spans AS s WHERE toDate(s.started_at) = toDate({{day:UInt32}})
ORDER BY s.trace_id, s.span_id SETTINGS {_LARGE}
""",
    "traces": f"""
INSERT INTO traces SELECT * REPLACE ({_ID} AS trace_id, t.started_at + INTERVAL {{ahead:UInt32}} DAY AS started_at)
FROM traces AS t WHERE toDate(t.started_at) = toDate({{day:UInt32}}) ORDER BY t.trace_id SETTINGS {_LARGE}
""",
    "route_stats": """
INSERT INTO route_stats SELECT * REPLACE (s.bucket + INTERVAL {ahead:UInt32} DAY AS bucket)
FROM route_stats AS s WHERE toDate(s.bucket) = toDate({day:UInt32})
""",
    "otel_traces": f"""
INSERT INTO otel_traces SELECT * REPLACE (concat(substring(TraceId, 1, 28), leftPad(toString({{ahead:UInt32}}), 4, '0')) AS TraceId,
    o.Timestamp + INTERVAL {{ahead:UInt32}} DAY AS Timestamp)
FROM otel_traces AS o WHERE toDate(o.Timestamp) = toDate({{day:UInt32}}) SETTINGS {_LARGE}
""",
}

# As the Collector's ClickHouse exporter makes them, without TTL.
COLLECTOR_TABLES = [
    """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)), SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1)
ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
""",
    """
CREATE TABLE otel_traces_trace_id_ts (
    TraceId String CODEC(ZSTD(1)), Start DateTime CODEC(Delta, ZSTD(1)), End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1)
ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192
""",
    """
CREATE MATERIALIZED VIEW otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS
SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM otel_traces WHERE TraceId != '' GROUP BY TraceId
""",
]
COLLECTOR = {
    "otel_traces": f"""
INSERT INTO otel_traces
SELECT
    began, trace_id, span_id, parent, '', name, if(is_call, 'Client', 'Internal'), 'assistant',
    map('host.name', concat('host-', toString(i % 8))), 'tollway', '',
    mapConcat(others,
        map('tollway.route', route, 'tollway.cohort', cohort, 'tollway.variant', variant, 'session.id', session, 'user.id', user),
        if(is_call, map('gen_ai.operation.name', 'chat', 'gen_ai.provider.name', 'openai', 'gen_ai.request.model', model,
            'gen_ai.response.model', model, 'gen_ai.response.id', response, 'gen_ai.usage.input_tokens', toString(tokens_in),
            'gen_ai.usage.output_tokens', toString(tokens_out), 'gen_ai.usage.cache_read.input_tokens', toString(tokens_cached),
            'gen_ai.response.finish_reasons', '["stop"]', 'server.address', 'api.openai.com',
            'gen_ai.response.time_to_first_chunk', toString(took / 3e9), 'tollway.attempts', toString(1 + (chance % 50 = 0)),
            'gen_ai.usage.cost', toString(usd)), map()),
        if(j = 4, map('gen_ai.operation.name', 'execute_tool', 'gen_ai.tool.name', tool), map()),
        if(is_error, map('error.type', 'timeout'), map())),
    took, if(is_error, 'Error', 'Unset'), ''
FROM ({_MADE})
SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 2000000000
""",
}

# Spans of a step: as many of today's new traces, and of traces of every day that a late span reaches.
_STEPS = {
    "new_traces": TOLLWAY["spans"].replace("began + INTERVAL 2 SECOND", "now64(9)"),
    "old_traces": """
INSERT INTO spans (trace_id, span_id, parent_span_id, started_at, duration_ns, name, ingested_at)
SELECT trace_id, leftPad(lower(hex(cityHash64(trace_id))), 16, '0'), '', started_at, 1, 'late', now64(9)
FROM traces FINAL ORDER BY cityHash64(trace_id) LIMIT 1000
SETTINGS max_partitions_per_insert_block = 0
""",
}

TOUCH = """
INSERT INTO touched_traces
SELECT DISTINCT ingested_at, trace_id FROM spans
WHERE ingested_at >= {at:DateTime64(9)}
"""

_A = "SpanAttributes"
_SINCE = "Timestamp >= toDateTime({since_s:UInt32}, 'UTC')"
_CALL = f"{_A}['gen_ai.operation.name'] = 'chat'"
_USD = f"sum(toDecimal128OrZero({_A}['gen_ai.usage.cost'], 24))"
_IN = f"sum(toUInt32OrZero({_A}['gen_ai.usage.input_tokens']))"
_OUT = f"sum(toUInt32OrZero({_A}['gen_ai.usage.output_tokens']))"
_ROUTE, _VARIANT = f"{_A}['tollway.route']", f"{_A}['tollway.variant']"
_MODEL = f"{_A}['gen_ai.response.model']"


def statement(name: str) -> str:
    """Return the SQL that fills a table for one day (parameters day, first, traces)."""
    return (TOLLWAY | COLLECTOR)[name]


def again(name: str) -> tuple[str, bool]:
    """Return the SQL that fills a table for a later day, and whether it copies the first day.

    A copy's parameters are day (the first) and ahead (days); the others' those of `statement`.
    """
    return (AGAIN[name], True) if name in AGAIN else (statement(name), False)


def step(name: str) -> str:
    """Return the SQL that brings spans for a step of the roll-up."""
    return _STEPS[name]


def _each_trace(columns: str) -> str:
    return f"SELECT TraceId, any({_ROUTE}) AS route, {columns} FROM otel_traces WHERE {_SINCE} GROUP BY TraceId"


def questions() -> list[tuple[str, str, dict[str, str], str]]:
    """Return (title, question of schemas/queries, its parameters, the same on the peer's table)."""
    week, month = {"since": "7d"}, {"since": "30d"}
    return [
        ("spans of a trace, by id", "cost_of_trace", {"trace": "@trace"}, """
            WITH {trace:String} AS id,
                (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = id) AS first,
                (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = id) AS last
            SELECT * FROM otel_traces WHERE TraceId = id AND Timestamp >= first AND Timestamp <= last ORDER BY Timestamp"""),
        ("cost by route and day, a month", "cost_by_day", month,
         f"SELECT toDate(Timestamp) AS day, {_ROUTE} AS route, uniqExact(TraceId), {_USD} FROM otel_traces "
         f"WHERE {_SINCE} AND {_CALL} GROUP BY day, route ORDER BY day, route"),
        ("cost by route and variant, a week", "cost_by_route", week,
         f"SELECT {_ROUTE} AS route, {_VARIANT} AS variant, uniqExact(TraceId) AS traces, {_USD} AS usd, usd / traces "
         f"FROM otel_traces WHERE {_SINCE} AND {_CALL} GROUP BY route, variant ORDER BY route, variant"),
        ("cost by model, a week", "cost_by_model", week,
         f"SELECT {_MODEL} AS model, count(), {_IN}, {_OUT}, {_USD} FROM otel_traces "
         f"WHERE {_SINCE} AND {_CALL} GROUP BY model ORDER BY model"),
        ("dearest users, a week", "cost_by_user", week,
         f"SELECT {_A}['user.id'] AS user, uniqExact(TraceId), {_USD} AS usd FROM otel_traces "
         f"WHERE {_SINCE} AND {_CALL} GROUP BY user ORDER BY usd DESC LIMIT 20"),
        ("dearest traces and why, a week", "dearest_traces", week,
         _each_trace(f"count(), {_IN}, {_OUT}, {_USD} AS usd") + " ORDER BY usd DESC LIMIT 20"),
        ("cache savings, a week", "cache_savings", week,
         f"SELECT {_MODEL} AS model, count(), {_IN}, "
         f"sum(toUInt32OrZero({_A}['gen_ai.usage.cache_read.input_tokens'])) AS cached, cached * 1.25e-6 FROM otel_traces "
         f"WHERE {_SINCE} AND {_CALL} GROUP BY model"),
        ("cost of retries and failures, a week", "retry_costs", week,
         "SELECT route, count(), countIf(trouble), sumIf(usd, trouble), avgIf(usd, trouble), avgIf(usd, NOT trouble) FROM ("
         + _each_trace(f"{_USD} AS usd, max(toUInt8OrZero({_A}['tollway.attempts'])) > 1 OR countIf(StatusCode = 'Error') > 0 AS trouble")
         + ") GROUP BY route"),
        ("p50, p95, p99 and first token, a week", "latency", week,
         "SELECT route, quantiles(0.5, 0.95, 0.99)(took), quantiles(0.5, 0.95, 0.99)(ttft) FROM ("
         + _each_trace(f"max(Duration) AS took, max(toFloat64OrNull({_A}['gen_ai.response.time_to_first_chunk'])) AS ttft")
         + ") GROUP BY route"),
        ("tokens by kind, a week", "tokens_by_kind", week,
         f"SELECT {_ROUTE} AS route, {_VARIANT} AS variant, uniqExact(TraceId), {_IN}, {_OUT}, "
         f"sum(toUInt32OrZero({_A}['gen_ai.usage.cache_read.input_tokens'])) FROM otel_traces "
         f"WHERE {_SINCE} AND {_CALL} GROUP BY route, variant"),
        ("failing tools, a week", "tool_failures", week,
         f"SELECT {_A}['gen_ai.tool.name'] AS tool, count(), countIf(StatusCode = 'Error'), "
         f"topKIf(1)({_A}['error.type'], StatusCode = 'Error'), quantiles(0.5, 0.95)(Duration) FROM otel_traces "
         f"WHERE {_SINCE} AND {_A}['gen_ai.operation.name'] = 'execute_tool' GROUP BY tool"),
        ("longest traces, a week", "longest_traces", week,
         _each_trace(f"max(Duration) AS took, {_USD}") + " ORDER BY took DESC LIMIT 20"),
        ("models without a price, a month", "unpriced_models", month,
         f"SELECT {_MODEL} AS model, count() FROM otel_traces WHERE {_SINCE} AND {_CALL} "
         f"AND {_A}['gen_ai.usage.cost'] = '' GROUP BY model"),
        ("cost of a session", "cost_of_session", {"session": "session-1000"},
         f"SELECT TraceId, {_USD} FROM otel_traces WHERE {_A}['session.id'] = 'session-1000' GROUP BY TraceId"),
    ]  # fmt: skip

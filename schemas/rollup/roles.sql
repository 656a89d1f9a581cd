-- Which calls are paid, where a call is told more than once.
--
-- Nested: of calls within each other the inner ones are paid where one of them is as strong as the
-- outer (3 with a price, 2 with tokens alone, 1 without); else the outer is paid and they are not.
-- Apart: a fetched answer is paid where the answer was told first; a call that another library tells
-- with the same answer, the same tokens and at the same time is paid once. The first in the order
-- (no fetch, strongest, below another span, library, start, ids) pays. An id that more than 16 calls
-- bear (a stub's constant) shows nothing of the second kind.
INSERT INTO rollup_roles (rolled_up_at, trace_id, span_id, is_paid, gap_sign)
WITH
    calls AS
    (
        SELECT *, parent != 0 AS has_parent
        FROM rollup_nodes
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND strength > 0
    ),
    paths AS (SELECT * FROM rollup_paths WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')),
    around AS
    (
        SELECT DISTINCT paths.above AS node
        FROM paths
        INNER JOIN calls ON calls.node = paths.above AND calls.strength = paths.level
        WHERE paths.strength >= paths.level
    ),
    nested AS
    (
        SELECT
            *,
            node IN (SELECT node FROM around) AS is_around,
            node IN (SELECT node FROM paths WHERE level > strength AND above NOT IN (SELECT node FROM around)) AS is_within,
            node IN (SELECT node FROM paths WHERE level = 3) AS is_below_priced,
            NOT is_around AND NOT is_within AS is_inner,
            (is_fetch, 3 - strength, NOT has_parent, library, started_at, trace_id, span_id) AS place,
            (place, library, toUnixTimestamp64Nano(started_at), toUnixTimestamp64Nano(started_at) + toInt64(duration_ns)) AS telling
        FROM calls
    ),
    apart AS
    (
        SELECT response, input_tokens, output_tokens, count() AS others, min(place) AS first, groupArray(17)(telling) AS tellings
        FROM
        (
            SELECT
                response, input_tokens, output_tokens,
                (is_fetch, 3 - strength, NOT has_parent, library, started_at, trace_id, span_id) AS place,
                (place, library, toUnixTimestamp64Nano(started_at), toUnixTimestamp64Nano(started_at) + toInt64(duration_ns)) AS telling
            FROM told_answers FINAL
            WHERE {shared:UInt64} > 0 AND response IN (SELECT response FROM calls WHERE response != 0)
        )
        GROUP BY response, input_tokens, output_tokens
        HAVING others > 1
    ),
    beside AS
    (
        SELECT trace_id, response, input_tokens, output_tokens, count() AS others, min(place) AS first, groupArray(17)(telling) AS tellings
        FROM nested
        WHERE is_inner AND response != 0
        GROUP BY trace_id, response, input_tokens, output_tokens
        HAVING others > 1
    )
SELECT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    trace_id, span_id,
    is_inner AND NOT is_told_apart AND NOT is_told_beside AS is_paid,
    multiIf(strength != 3, 0, is_around AND NOT is_below_priced, 1, is_inner AND is_below_priced, -1, 0) AS gap_sign
FROM
(
    SELECT
        nested.trace_id AS trace_id, nested.span_id AS span_id, nested.strength AS strength, is_inner, is_around, is_below_priced,
        apart.others > 1 AND (
            (is_fetch AND apart.first.6 != nested.trace_id)
            OR (apart.others <= 16 AND arrayExists(
                (t, mine) -> t.1 < mine.1 AND t.1.6 != mine.1.6 AND t.2 != mine.2 AND t.3 <= mine.4 AND mine.3 <= t.4,
                apart.tellings, arrayWithConstant(length(apart.tellings), telling)))) AS is_told_apart,
        is_inner AND beside.others > 1 AND (
            (is_fetch AND beside.first != place)
            OR (beside.others <= 16 AND arrayExists(
                (t, mine) -> t.1 < mine.1 AND t.2 != mine.2 AND t.3 <= mine.4 AND mine.3 <= t.4,
                beside.tellings, arrayWithConstant(length(beside.tellings), telling)))) AS is_told_beside
    FROM nested
    LEFT JOIN apart ON apart.response = nested.response AND apart.input_tokens = nested.input_tokens AND apart.output_tokens = nested.output_tokens
    LEFT JOIN beside ON beside.trace_id = nested.trace_id AND beside.response = nested.response
        AND beside.input_tokens = nested.input_tokens AND beside.output_tokens = nested.output_tokens
)
WHERE NOT is_paid OR gap_sign != 0
SETTINGS join_use_nulls = 0, max_threads = 1, compile_expressions = 0, query_plan_merge_expressions = 0

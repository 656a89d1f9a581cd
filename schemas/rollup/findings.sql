-- What the step's nodes call for. Result, each a count: backward (spans that do not start after their
-- parent), below (calls below a span, in traces of several calls), shared (answers that more than one
-- call tells), apart (those of them that a trace outside the step tells too), rollups (calls that bear
-- the status), several (traces with spans of several days).
WITH nodes AS
(
    SELECT *
    FROM rollup_nodes
    WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
)
SELECT
    (
        SELECT count()
        FROM nodes AS child
        INNER JOIN nodes AS other ON other.node = child.parent
        WHERE (other.started_at, other.node) >= (child.started_at, child.node)
    ) AS backward,
    ifNull((SELECT sum(n) FROM (SELECT countIf(strength > 0 AND parent != 0) AS n FROM nodes GROUP BY trace_id HAVING countIf(strength > 0) > 1)), 0) AS below,
    tellings.1 AS shared,
    tellings.2 AS apart,
    (SELECT countIf(is_rollup) FROM nodes) AS rollups,
    (
        SELECT count() - uniqExact(trace_id)
        FROM rollup_touched
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
    ) AS several,
    (
        SELECT (count(), countIf(others > 0))
        FROM
        (
            SELECT response, countIf(trace_id NOT IN (SELECT trace_id FROM nodes)) AS others
            FROM told_answers
            WHERE response IN (SELECT response FROM nodes WHERE response != 0)
            GROUP BY response
            HAVING uniqExact(trace_id, span_id) > 1
        )
    ) AS tellings
SETTINGS final = 0, max_threads = 1, compile_expressions = 0, query_plan_merge_expressions = 0

-- Parents that run in a circle: every span that leads into one loses its parent where it does not
-- start after it. Only traces with such an edge can have a circle, so few are searched.
-- Pointers double their reach every round; what has no end after 20 (a million spans) leads in circles.
INSERT INTO rollup_paths (rolled_up_at, node, strength, level, above)
WITH RECURSIVE
    nodes AS
    (
        SELECT trace_id, node, parent, started_at
        FROM rollup_nodes
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
    ),
    backward AS
    (
        SELECT child.node AS node, child.trace_id AS trace_id
        FROM nodes AS child
        INNER JOIN nodes AS other ON other.node = child.parent
        WHERE (other.started_at, other.node) >= (child.started_at, child.node)
    ),
    climb AS
    (
        SELECT node, parent AS above, toUInt8(0) AS round, toUInt8(1) AS is_open
        FROM nodes
        WHERE trace_id IN (SELECT trace_id FROM backward)
        UNION ALL
        SELECT low.node AS node, high.above AS above, toUInt8(low.round + 1) AS round,
               toUInt8(max(high.above != 0) OVER ()) AS is_open
        FROM climb AS low
        LEFT JOIN climb AS high ON high.node = low.above
        WHERE low.is_open AND low.round < 20
    )
SELECT fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at, node, 0 AS strength, 0 AS level, 0 AS above
FROM climb
WHERE round = 20 AND climb.above != 0 AND node IN (SELECT node FROM backward)
SETTINGS join_use_nulls = 0, max_threads = 1, compile_expressions = 0, query_plan_merge_expressions = 0

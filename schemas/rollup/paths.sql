-- The nearest call above each call, by strength: pointers that double their reach every round, so
-- that a chain of any depth takes as many rounds as its depth has binary digits.
-- Level 0 holds the spans whose parent counts for nothing (see circles.sql).
INSERT INTO rollup_paths (rolled_up_at, node, strength, level, above)
WITH RECURSIVE
    several AS
    (
        SELECT trace_id, groupUniqArrayIf(strength, strength > 0) AS levels
        FROM rollup_nodes
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
        GROUP BY trace_id
        HAVING countIf(strength > 0) > 1
    ),
    walk AS
    (
        SELECT
            nodes.node AS node, nodes.strength AS strength, arrayJoin(several.levels) AS level,
            if(nodes.node IN (SELECT node FROM rollup_paths WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')), 0, nodes.parent) AS above,
            toUInt8(above = 0) AS is_done, toUInt8(1) AS is_open, toUInt8(0) AS round
        FROM rollup_nodes AS nodes
        INNER JOIN several ON several.trace_id = nodes.trace_id
        WHERE nodes.rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
        UNION ALL
        SELECT
            low.node AS node, low.strength AS strength, low.level AS level,
            multiIf(low.is_done, low.above, high.node = 0, 0, high.strength >= low.level, low.above, high.above) AS above,
            toUInt8(low.is_done OR high.node = 0 OR high.strength >= low.level OR high.above = 0) AS is_done,
            toUInt8(max(NOT is_done) OVER ()) AS is_open,
            toUInt8(low.round + 1) AS round
        FROM walk AS low
        LEFT JOIN walk AS high ON high.node = low.above AND high.level = low.level
        WHERE low.is_open AND low.round < 20
    )
SELECT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    node, any(walk.strength) AS strength, level, argMax(walk.above, round) AS above
FROM walk
WHERE walk.strength > 0
GROUP BY node, level
HAVING above != 0
SETTINGS join_use_nulls = 0, max_threads = 1, compile_expressions = 0, query_plan_merge_expressions = 0

-- Traces that tell an answer of the touched ones too: they join this step.
-- An id that more than 16 other calls bear (a stub's constant) is no identity: of those only the
-- first to pay joins, since a fetched answer is paid where it was told first.
INSERT INTO touched_traces (ingested_at, trace_id)
WITH here AS
(
    SELECT response, trace_id
    FROM rollup_nodes
    WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND response != 0
)
SELECT DISTINCT
    fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC') AS ingested_at,
    arrayJoin(if(others <= 16, some, [first])) AS trace_id
FROM
(
    SELECT
        response, count() AS others, groupArray(17)(a.trace_id) AS some,
        argMin(a.trace_id, (is_fetch, 3 - strength, NOT has_parent, library, started_at, a.trace_id, span_id)) AS first
    FROM told_answers AS a FINAL
    WHERE response IN (SELECT response FROM here) AND a.trace_id NOT IN (SELECT trace_id FROM here)
    GROUP BY response
)

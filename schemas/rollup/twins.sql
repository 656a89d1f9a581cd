-- Traces that tell an answer of the touched ones too: they join this step.
-- An id that more than 16 other calls bear (a stub's constant) is no identity: of those only the
-- first to pay joins, since a fetched answer is paid where it was told first.
INSERT INTO rollup_touched (rolled_up_at, trace_id, day, first_at, is_recent)
WITH
    here AS
    (
        SELECT response, trace_id
        FROM rollup_nodes
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND response != 0
    ),
    twins AS
    (
        SELECT DISTINCT arrayJoin(if(others <= 16, some, [first])) AS trace_id
        FROM
        (
            SELECT
                response, count() AS others, groupArray(17)(a.trace_id) AS some,
                argMin(a.trace_id, (is_fetch, 3 - strength, NOT has_parent, library, started_at, a.trace_id, span_id)) AS first
            FROM told_answers AS a FINAL
            WHERE response IN (SELECT response FROM here)
                AND a.trace_id NOT IN (SELECT trace_id FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC'))
            GROUP BY response
        )
    )
SELECT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    twins.trace_id AS trace_id, known.day AS day, known.first_at AS first_at, false AS is_recent
FROM twins
LEFT JOIN
(
    SELECT trace_id, day, min(first_at) AS first_at
    FROM trace_days
    WHERE trace_id IN (twins)
    GROUP BY trace_id, day
) AS known ON known.trace_id = twins.trace_id
SETTINGS join_use_nulls = 0

-- Touch every trace that has spans on a day, in the order of ids: {limit} to a step of the roll-up, so
-- that each step reads one stretch of spans.
INSERT INTO touched_traces (ingested_at, trace_id)
SELECT fromUnixTimestamp64Nano({first_ns:Int64} + intDiv(rowNumberInAllBlocks(), {limit:UInt64}), 'UTC') AS ingested_at, trace_id
FROM
(
    SELECT trace_id
    FROM spans
    WHERE toDate(started_at) = {day:Date}
    GROUP BY trace_id
    ORDER BY trace_id
)
SETTINGS final = 0, optimize_aggregation_in_order = 1, max_threads = 1

-- Write `rollup` on the calls that are told again, and what they were on those that no longer are,
-- so that sum(cost_usd) over the other statuses is what was paid.
-- The new row is one nanosecond newer than the one it replaces: a span that is sent again meanwhile
-- stays the newest, and the same change twice is one row.
INSERT INTO spans
WITH
    untold AS
    (
        SELECT trace_id, span_id
        FROM rollup_roles
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND NOT is_paid
    ),
    stale AS
    (
        SELECT trace_id, span_id, toDate(started_at) AS day
        FROM rollup_nodes
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND strength > 0
            AND is_rollup != ((trace_id, span_id) IN (untold))
    )
SELECT * REPLACE (
    multiIf((trace_id, span_id) IN (untold), 'rollup',
            s.told_cost_status != '', s.told_cost_status,
            isNull(s.cost_usd), 'unpriced',
            price_id = '', 'reported', 'computed') AS cost_status,
    if((trace_id, span_id) IN (untold), s.cost_status, '') AS told_cost_status,
    addNanoseconds(s.ingested_at, 1) AS ingested_at)
FROM spans AS s FINAL
WHERE (trace_id, span_id) IN (SELECT trace_id, span_id FROM stale) AND _partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM stale)
    AND (s.cost_status = 'rollup') != ((trace_id, span_id) IN (untold))
SETTINGS max_partitions_per_insert_block = 0

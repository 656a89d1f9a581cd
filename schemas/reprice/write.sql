-- The spans that changed, with their new price. Two nanoseconds newer than before: a span that is sent
-- again meanwhile stays the newest, and the roll-up's own change of it, one nanosecond newer, is worked
-- out anew from this row.
INSERT INTO spans
SELECT s.* REPLACE (
    r.new_cost_usd AS cost_usd, r.new_status AS cost_status, r.new_told_status AS told_cost_status, r.new_price_id AS price_id,
    r.new_priced_as AS priced_as, addNanoseconds(s.ingested_at, 2) AS ingested_at)
FROM
(
    SELECT *
    FROM spans FINAL
    WHERE toDate(started_at) = {day:Date}
        AND (trace_id, span_id) IN (SELECT trace_id, span_id FROM repriced WHERE run = {run:String} AND day = {day:Date})
) AS s
INNER JOIN (SELECT * FROM repriced FINAL WHERE run = {run:String} AND day = {day:Date}) AS r
    ON s.trace_id = r.trace_id AND s.span_id = r.span_id
SETTINGS max_partitions_per_insert_block = 0

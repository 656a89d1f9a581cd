-- Let the roll-up recompute the traces of the spans that changed on a day.
INSERT INTO touched_traces (ingested_at, trace_id)
SELECT DISTINCT fromUnixTimestamp64Nano({stamp_ns:Int64}, 'UTC'), trace_id
FROM repriced
WHERE run = {run:String} AND day = {day:Date}

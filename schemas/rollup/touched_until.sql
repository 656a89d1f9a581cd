-- Where a roll-up step ends: the commit of the {limit}th touched trace, at most the safe stamp.
-- Result: until (ns since 1970, UTC; equal to after_ns when nothing is to do), touched (traces; one
-- that several commits touched counts for each).
SELECT greatest(max(stamp), {after_ns:Int64}) AS until, count() AS touched
FROM
(
    SELECT toUnixTimestamp64Nano(ingested_at) AS stamp
    FROM touched_traces
    WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
        AND ingested_at <= fromUnixTimestamp64Nano({safe_ns:Int64}, 'UTC')
    ORDER BY ingested_at
    LIMIT {limit:UInt64}
)

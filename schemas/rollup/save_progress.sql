-- Remember how far a stage of the roll-up has come.
INSERT INTO rollup_progress (stage, watermark, written_at)
SELECT {stage:String}, fromUnixTimestamp64Nano({watermark_ns:Int64}, 'UTC'), now64(9, 'UTC')

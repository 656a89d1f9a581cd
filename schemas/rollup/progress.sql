-- How far a stage of the roll-up has come. Result: watermark (ns since 1970, UTC).
SELECT toUnixTimestamp64Nano(max(watermark)) AS watermark
FROM rollup_progress
WHERE stage = {stage:String}

-- The days of a run that are done. Result: day.
SELECT DISTINCT toString(day) AS day FROM reprice_days WHERE run = {run:String}

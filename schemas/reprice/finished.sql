-- How often a run with these options and prices has come to its end. Result: n.
SELECT count() AS n FROM reprice_days WHERE startsWith(run, {run:String}) AND day = toDate('1970-01-01')

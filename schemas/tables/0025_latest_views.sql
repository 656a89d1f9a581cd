-- Views keep the columns that their tables had when they were made.
DROP VIEW IF EXISTS latest_route_signals;
DROP VIEW IF EXISTS latest_route_verdicts;

CREATE VIEW latest_route_signals AS
SELECT *
FROM route_signals
ORDER BY evaluated_at DESC
LIMIT 1 BY route, cohort, baseline, candidate, metric
COMMENT 'The newest row of each signal.';

CREATE VIEW latest_route_verdicts AS
SELECT *
FROM route_verdicts
ORDER BY evaluated_at DESC
LIMIT 1 BY route, baseline, candidate
COMMENT 'The newest verdict of each comparison.';

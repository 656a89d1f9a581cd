-- Since when a ROLLBACK stands, and what for: the newest verdict of a day overwrites the first one.
ALTER TABLE route_verdicts
    ADD COLUMN rolled_back_at DateTime64(3, 'UTC') COMMENT 'of a ROLLBACK: when it arose, UTC; it stands until that leaves the window; 1970 for other verdicts',
    ADD COLUMN rolled_back_for String COMMENT 'of a ROLLBACK: the reason when it arose';

-- Views keep the columns that their tables had when they were made.
DROP VIEW IF EXISTS latest_route_verdicts;

CREATE VIEW latest_route_verdicts AS
SELECT *
FROM route_verdicts
ORDER BY evaluated_at DESC
LIMIT 1 BY route, baseline, candidate
COMMENT 'The newest verdict of each comparison.';

-- Changes of state that people are told of, and which receiver has been told. One row a change:
-- what is in here is not raised again, after a restart neither.
CREATE TABLE alerts
(
    alert_id   String                  COMMENT 'identity of the change, the same wherever it is found: 32 hex digits',
    raised_at  DateTime64(3, 'UTC')    COMMENT 'when it was found, UTC',
    route      LowCardinality(String)  COMMENT 'product task',
    cohort     LowCardinality(String)  COMMENT 'slice; * is the whole route',
    baseline   LowCardinality(String)  COMMENT 'variant compared against',
    candidate  LowCardinality(String)  COMMENT 'variant judged',
    metric     LowCardinality(String)  COMMENT 'verdict | cheaper_but_worse | the signal that changed',
    state      LowCardinality(String)  COMMENT 'what it is now: PROMOTE, HOLD, ROLLBACK, CHEAPER_BUT_WORSE or the state of the signal',
    previous   LowCardinality(String)  COMMENT 'what was told before, empty for the first',
    reason     String                  COMMENT 'the finding in plain words',
    examples   Array(String)           COMMENT 'traces that show it best, the worst first'
)
ENGINE = ReplacingMergeTree(raised_at)
ORDER BY alert_id
TTL toDateTime(raised_at) + INTERVAL 400 DAY
COMMENT 'Changes of state that were raised, one row each.';

CREATE TABLE alert_deliveries
(
    alert_id    String                  COMMENT 'the alert',
    receiver    LowCardinality(String)  COMMENT 'name of the receiver in the configuration',
    finished_at DateTime64(3, 'UTC')    COMMENT 'when it was delivered or given up, UTC',
    outcome     LowCardinality(String)  COMMENT 'delivered | given_up',
    attempts    UInt32                  COMMENT 'tries of the process that finished it',
    error       String                  COMMENT 'the last error, empty when delivered'
)
ENGINE = ReplacingMergeTree(finished_at)
ORDER BY (alert_id, receiver)
TTL toDateTime(finished_at) + INTERVAL 400 DAY
COMMENT 'Which receiver has been told of which alert.';

CREATE VIEW eval_fail_rate_by_cohort AS
SELECT route, cohort, variant, score, count() AS traces, sum(has_failed) AS fails, fails / traces AS fail_rate
FROM traces FINAL
ARRAY JOIN mapKeys(score_fails) AS score, mapValues(score_fails) AS has_failed
GROUP BY route, cohort, variant, score
COMMENT 'Share of scored traces that failed, by score (0 to 1).';

CREATE VIEW outcome_rate_by_cohort AS
WITH
    sizes AS
    (
        SELECT route, cohort, variant, count() AS traces
        FROM traces FINAL
        GROUP BY route, cohort, variant
    ),
    happened AS
    (
        SELECT route, cohort, variant, outcome, countIf(outcome_value > 0) AS times
        FROM traces FINAL
        ARRAY JOIN mapKeys(outcomes) AS outcome, mapValues(outcomes) AS outcome_value
        GROUP BY route, cohort, variant, outcome
    ),
    outcome_names AS (SELECT DISTINCT route, outcome FROM happened)
SELECT sizes.route AS route, sizes.cohort AS cohort, sizes.variant AS variant, outcome_names.outcome AS outcome,
       sizes.traces AS traces, happened.times AS times, happened.times / sizes.traces AS rate
FROM sizes
INNER JOIN outcome_names ON outcome_names.route = sizes.route
LEFT JOIN happened ON happened.route = sizes.route AND happened.cohort = sizes.cohort
    AND happened.variant = sizes.variant AND happened.outcome = outcome_names.outcome
COMMENT 'Share of all traces on which an outcome happened (0 to 1); a trace without one counts as not happened.';

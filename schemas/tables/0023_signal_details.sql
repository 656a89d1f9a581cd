-- What else is known of a signal and a verdict. Sides that are no variants carry what divides them:
-- release:1.4.2, model:gpt-4o, prompt:7, period:after.
ALTER TABLE route_signals
    ADD COLUMN e_improved Float64 COMMENT 'natural logarithm of the e-value against not better' AFTER e_held,
    ADD COLUMN days_needed Nullable(Float64) COMMENT 'days until traces_needed have come at the rate seen so far; NULL unknown' AFTER traces_needed,
    ADD COLUMN role LowCardinality(String) COMMENT 'guardrail must hold; tripwire rolls back and need not hold; goal must not regress; watched decides nothing' AFTER guardrail,
    ADD COLUMN matters Bool COMMENT 'the cohort is one that decides' AFTER role,
    ADD COLUMN nature LowCardinality(String) COMMENT 'quality | cost | latency | volume' AFTER matters,
    ADD COLUMN design_effect Float64 COMMENT 'traces that are worth one independent trace' AFTER nature,
    ADD COLUMN pooled_harm Nullable(Float64) COMMENT 'harm of all cohorts thrown together, where it points the other way (Simpson''s case); else NULL' AFTER harm,
    ADD COLUMN dimension LowCardinality(String) COMMENT 'what divides baseline from candidate: variant, model, release, prompt, period';

ALTER TABLE route_verdicts
    ADD COLUMN dimension LowCardinality(String) COMMENT 'what divides baseline from candidate: variant, model, release, prompt, period',
    ADD COLUMN is_paired Bool COMMENT 'both sides answered the same inputs (mirrored traffic, a dataset)',
    ADD COLUMN traces_needed Nullable(UInt64) COMMENT 'candidate traces still to come for PROMOTE if nothing is wrong; NULL unknown',
    ADD COLUMN days_needed Nullable(Float64) COMMENT 'days until they have come at the rate seen so far; NULL unknown',
    ADD COLUMN declared_share Nullable(Float64) COMMENT 'declared share of the candidate (0 to 1); NULL where none is',
    ADD COLUMN realised_share Nullable(Float64) COMMENT 'share it had, of sessions where they stick to a side, else of traces',
    ADD COLUMN is_ratio_mismatch Bool COMMENT 'the split credibly differs from the declared one',
    ADD COLUMN multiplicity String COMMENT 'how many comparisons were watched, and what error rates hold over all of them',
    ADD COLUMN reasons Array(String) COMMENT 'all reasons in plain words, the most important first';

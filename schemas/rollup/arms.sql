-- Sufficient statistics of every metric since a time, one row a (route, cohort, side, epoch).
-- A side is what is compared: by {dimension} the variant, the model, the release (service.version),
-- the prompt version, or the period before and after {split_s}. Clusters are sessions, else users,
-- else single traces, whole over the window (over the epoch, where {epochs} has starts of epochs:
-- one list of s since 1970, UTC, a route). A trace counts in its labelled cohort and in each
-- built-in one. Latency counts from {warm_s} of its side on. cost_per_success counts the traces that succeeded and sums the cost of all.
-- Result: route, cohort, side, epoch, first_s, last_s (of its traces), names, n, total, total_sq,
-- clusters, cluster_total_sq, cluster_cross, cluster_size_sq (one entry a metric).
WITH
    @long_sessions,
    traces_of AS
    (
        SELECT
            route,
            @side AS side,
            @cluster AS cluster,
            @epoch,
            toUnixTimestamp(started_at) AS at_s,
            arrayFilter((name, is_in) -> is_in,
                        [@cohort, 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, @built_in]) AS cohorts,
            @measures,
            if(is_warm, log(greatest(duration_ns, 1) / 1e6), 0) AS log_ms,
            @is_warm AS is_warm, isNotNull(ttft_ns) AND is_warm AS is_streamed,
            if(is_streamed, log(greatest(ifNull(ttft_ns, 1), 1) / 1e6), 0) AS log_ttft,
            log(greatest(input_tokens, 1)) AS log_input,
            log(greatest(output_tokens, 1)) AS log_output,
            truncated > 0 AS is_truncated, refused > 0 AS is_refused, empty_answers > 0 AS is_empty,
            retries > 0 AS is_retried, retries >= 3 AS is_storm, fallbacks > 0 AS is_fallback,
            tool_errors > 0 AS has_tool_error, tool_timeouts > 0 AS has_timeout, invalid_tool_arguments > 0 AS has_invalid,
            toFloat64(tool_calls) AS tools, input_tokens > 0 AS has_input, output_tokens > 0 AS has_output
        @traces
    ),
    clusters_of AS
    (
        SELECT
            route, side, cohort, epoch, cluster, min(at_s) AS first_s_g, max(at_s) AS last_s_g,
            arrayMap(x -> toFloat64(x), [count(), sum(has_tools), sum(asked_tools), sum(is_priced), sum(is_success), sum(is_streamed), sum(has_input), sum(has_output), sum(is_warm)]) AS counts,
            [counts[1], counts[1], counts[1], counts[1], counts[1], counts[1], counts[1], counts[2], counts[2], counts[3],
             counts[1], counts[4], counts[4], counts[5], counts[9], counts[6], counts[7], counts[8]] AS n_g,
            arrayMap(x -> toFloat64(x), [sum(has_error), sum(is_truncated), sum(is_refused), sum(is_empty), sum(is_retried), sum(is_storm), sum(is_fallback),
             sum(has_tool_error), sum(has_timeout), sum(has_invalid)]) AS events,
            arrayConcat(events, [sum(tools), sum(log_usd), sum(usd), sum(usd), sum(log_ms), sum(log_ttft), sum(log_input), sum(log_output)]) AS s_g,
            arrayConcat(events, [sum(tools * tools), sum(log_usd * log_usd), sum(usd * usd), sum(usd * usd), sum(log_ms * log_ms),
             sum(log_ttft * log_ttft), sum(log_input * log_input), sum(log_output * log_output)]) AS q_g
        FROM traces_of
        ARRAY JOIN cohorts AS cohort
        WHERE side != ''
        GROUP BY route, side, cohort, epoch, cluster
    )
SELECT
    route, cohort, side, epoch, min(first_s_g) AS first_s, max(last_s_g) AS last_s,
    ['error', 'truncated', 'refused', 'empty', 'retried', 'retry_storm', 'fallback', 'tool_error', 'tool_timeout',
     'invalid_tool_arguments', 'tool_calls', 'log_cost_usd', 'cost_usd', 'cost_per_success', 'log_duration_ms',
     'log_ttft_ms', 'log_input_tokens', 'log_output_tokens'] AS names,
    sumForEach(n_g) AS n, sumForEach(s_g) AS total, sumForEach(q_g) AS total_sq,
    sumForEach(arrayMap(x -> toFloat64(x > 0), n_g)) AS clusters,
    sumForEach(arrayMap(s -> s * s, s_g)) AS cluster_total_sq,
    sumForEach(arrayMap((s, n) -> s * n, s_g, n_g)) AS cluster_cross,
    sumForEach(arrayMap(n -> n * n, n_g)) AS cluster_size_sq
FROM clusters_of
GROUP BY route, cohort, side, epoch
ORDER BY route, cohort, side, epoch

"""Every metric of the processor and what it says; counters.py holds the values.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` on counters.
"""

from __future__ import annotations

HELP = {
    "process_cpu_seconds_total": "CPU time of this process, the engine in it too.",
    "process_resident_memory_bytes": "Memory of this process, the engine in it too.",
    "process_start_time_seconds": "Start of this process, seconds since 1970 UTC.",
    "tollway_alert_failures_total": "Tries to tell an alert receiver that failed, by receiver.",
    "tollway_alerts_total": "Alerts delivered or given up, by receiver and outcome.",
    "tollway_batch_requests": "Requests that one commit carried.",
    "tollway_body_bytes_total": "Bytes of stored requests after decompression, by signal.",
    "tollway_cheaper_but_worse": "One for each cohort on which a candidate is cheaper but worse.",
    "tollway_commit_seconds": "Duration of one commit: decode, normalise, price, write.",
    "tollway_commits_split_total": "Commits that failed for what they held and were halved.",
    "tollway_dead_letter_bytes": "Size of the dead letters kept for `tollway replay`.",
    "tollway_dead_letters_total": "Requests, or parts of one, put among the dead letters.",
    "tollway_doubted_counts_total": "Counts told and not believed, by column and cause.",
    "tollway_engine_memory_bytes": "Memory that the store's engine has allocated.",
    "tollway_in_flight_bytes": "Bytes of requests received and not answered yet.",
    "tollway_in_flight_requests": "Requests received and not answered yet.",
    "tollway_items_refused_total": "Spans or log records refused one by one, by reason.",
    "tollway_items_total": "Spans or log records stored, by signal.",
    "tollway_oldest_span_timestamp_seconds": "Start of the oldest day of spans, 0 without any.",
    "tollway_queue_bytes": "Bytes of requests that wait for a commit.",
    "tollway_requests_refused_total": "Requests refused as a whole, by signal and cause.",
    "tollway_requests_total": "Requests answered as stored, by signal.",
    "tollway_retention_seconds": "How long a span is kept; one that starts earlier is refused.",
    "tollway_rollup_failures_total": "Roll-ups that failed; the next one does their work.",
    "tollway_rollup_lag_seconds": "Age of what the newest complete roll-up has seen.",
    "tollway_rollup_seconds": "Duration of one roll-up and the evaluation after it.",
    "tollway_route_verdict": "One for the newest verdict of each candidate on a route.",
    "tollway_store_bytes": "Size of the tables on disk.",
    "tollway_store_merges": "Merges of the engine that run now.",
    "tollway_store_parts": "Active data parts; thousands mean that merges fall behind.",
    "tollway_store_rows": "Rows of all tables before deduplication.",
    "tollway_vitals_age_seconds": "Age of the values read from the engine for this page.",
}

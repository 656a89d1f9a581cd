-- OTLP log requests to rows of score_stage: the events gen_ai.evaluation.result, and those that hold
-- messages (log_events.py has put their nested values into text). Other log records are none of
-- Tollway's business and are left out.
INSERT INTO score_stage (trace_id, span_id, name, source, kind, value, label, explanation, scored_at, ingested_at,
                         request_index, refusal, project, service, is_message, input, output, system_instructions, tool_definitions)
SELECT
    if(a['tollway.score.trace_id'] != '', lower(a['tollway.score.trace_id']), lower(hex(record.trace_id))) AS trace_id,
    if(a['tollway.score.trace_id'] != '', lower(a['tollway.score.span_id']), lower(hex(record.span_id))) AS span_id,
    a['gen_ai.evaluation.name'] AS name,
    if(a['tollway.score.source'] != '', a['tollway.score.source'], 'code') AS source,
    if(a['tollway.score.kind'] = 'outcome', 'outcome', 'score') AS kind,
    multiIf(a['gen_ai.evaluation.score.value'] IN ('true', 'True'), 1.,
            a['gen_ai.evaluation.score.value'] IN ('false', 'False'), 0.,
            toFloat64OrNull(a['gen_ai.evaluation.score.value'])) AS value,
    lower(a['gen_ai.evaluation.score.label']) AS label,
    a['gen_ai.evaluation.explanation'] AS explanation,
    fromUnixTimestamp64Nano(toInt64(if(refusal = '', time_ns, 0)), 'UTC') AS scored_at,
    fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC') AS ingested_at,
    request_index,
    multiIf(match(trace_id, '^0*$') OR length(trace_id) != 32, if(is_message, 'a message needs the trace id of its call, 16 bytes', 'a score needs a trace id of 16 bytes'),
            name = '' AND NOT is_message, 'a score needs gen_ai.evaluation.name',
            time_ns < {oldest_ns:UInt64}, 'time is before the retention window',
            time_ns > {newest_ns:UInt64}, 'time is more than an hour in the future',
            '') AS refusal,
    project,
    service,
    is_message, a['tollway.event.input'] AS input, a['tollway.event.output'] AS output,
    a['tollway.event.system_instructions'] AS system_instructions, a['tollway.event.tool_definitions'] AS tool_definitions
FROM
(
    SELECT record, project, request_index, service,
           record.event_name IN (@message_names()) AS is_message,
           mapFromArrays(record.attributes.key, arrayMap(v -> @value(v), record.attributes.value)) AS a,
           multiIf(record.time_unix_nano > 0, record.time_unix_nano,
                   record.observed_time_unix_nano > 0, record.observed_time_unix_nano,
                   toUInt64({ingested_at_ns:Int64})) AS time_ns
    FROM
    (
        SELECT arrayJoin(scope_logs.log_records) AS record, project, request_index, service
        FROM
        (
            SELECT arrayJoin(resource_log.scope_logs) AS scope_logs, project, request_index,
                   arrayFirst((v, k) -> k = 'service.name', resource_log.resource.attributes.value.string_value, resource_log.resource.attributes.key) AS service
            FROM
            (
                SELECT arrayJoin(resource_logs) AS resource_log, project, request_index
                FROM file({source:String}, 'Protobuf', '
                    resource_logs Array(Tuple(
                        resource Tuple(attributes @attributes),
                        scope_logs Array(Tuple(
                            log_records Array(Tuple(
                                time_unix_nano UInt64, observed_time_unix_nano UInt64, event_name String,
                                trace_id String, span_id String, attributes @attributes)))))),
                    project String, request_index UInt32')
            )
        )
    )
    WHERE record.event_name IN ('gen_ai.evaluation.result', @message_names())
        OR arrayExists((k, v) -> k = 'event.name' AND v = 'gen_ai.evaluation.result', record.attributes.key, record.attributes.value.string_value)
)
SETTINGS
    format_schema = '@proto:ExportLogsServiceRequest',
    input_format_protobuf_oneof_presence = 1,
    max_threads = 1, max_insert_threads = 1, max_block_size = 16, optimize_on_insert = 0

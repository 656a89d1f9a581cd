-- The messages of every call of which a batch of log events told something, put together anew from
-- all of its events; what only its span told stays.
INSERT INTO messages (trace_id, span_id, started_at, system_instructions, input_messages, output_messages,
                      tool_definitions, tool_arguments, tool_result, ingested_at)
WITH touched AS
(
    SELECT DISTINCT trace_id, span_id
    FROM message_events
    WHERE ingested_at = fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
),
events AS
(
    SELECT
        trace_id, span_id, min(told_at) AS first_at,
        arrayStringConcat(arrayFilter(m -> m != '', arrayMap(t -> t.2, arraySort(groupArray((told_at, input))))), ', ') AS inputs,
        arrayStringConcat(arrayFilter(m -> m != '', arrayMap(t -> t.2, arraySort(groupArray((told_at, output))))), ', ') AS outputs,
        anyIf(message_events.system_instructions, message_events.system_instructions != '') AS instructions,
        anyIf(message_events.tool_definitions, message_events.tool_definitions != '') AS tools
    FROM message_events FINAL
    WHERE (trace_id, span_id) IN (touched)
    GROUP BY trace_id, span_id
),
told AS (SELECT * FROM messages FINAL WHERE (trace_id, span_id) IN (touched))
SELECT
    events.trace_id, events.span_id,
    if(told.span_id = '', first_at, told.started_at),
    if(instructions = '', told.system_instructions, instructions),
    if(inputs = '', told.input_messages, concat('[', inputs, ']')),
    if(outputs = '', told.output_messages, concat('[', outputs, ']')),
    if(tools = '', told.tool_definitions, tools),
    told.tool_arguments, told.tool_result,
    fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
FROM events
LEFT JOIN told ON told.trace_id = events.trace_id AND told.span_id = events.span_id
SETTINGS join_use_nulls = 0

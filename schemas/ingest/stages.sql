-- The entrance: one decoded OTLP statement feeds every table through these Null tables and their
-- views. They hold no row, so they are made anew whenever the tables below them or this file change.
-- While that lasts they take nothing in, for another processor may write to the same server: without
-- its views a Null table would swallow rows. So the tables go first, come back closed, and open last.
DROP TABLE IF EXISTS span_stage;
DROP TABLE IF EXISTS score_stage;
DROP TABLE IF EXISTS span_stage_closed;
DROP TABLE IF EXISTS score_stage_closed;
DROP VIEW IF EXISTS span_stage_to_spans;
DROP VIEW IF EXISTS span_stage_to_messages;
DROP VIEW IF EXISTS span_stage_to_scores;
DROP VIEW IF EXISTS span_stage_to_touched_traces;
DROP VIEW IF EXISTS span_stage_to_refused_spans;
DROP VIEW IF EXISTS score_stage_to_scores;
DROP VIEW IF EXISTS score_stage_to_message_events;
DROP VIEW IF EXISTS score_stage_to_touched_traces;
DROP VIEW IF EXISTS score_stage_to_refused_spans;
DROP VIEW IF EXISTS span_stage_to_unpriced_models;
DROP VIEW IF EXISTS span_stage_to_span_traits;

CREATE TABLE span_stage_closed
ENGINE = Null
EMPTY AS
SELECT
    *,
    '' AS system_instructions, '' AS input_messages, '' AS output_messages,
    '' AS tool_definitions, '' AS tool_arguments, '' AS tool_result,
    toUInt32(0) AS request_index, '' AS refusal, false AS is_score_carrier
FROM spans;

ALTER TABLE span_stage_closed ADD COLUMN closed UInt8 DEFAULT throwIf(true, 'the tables are being brought up to date');

RENAME TABLE span_stage_closed TO span_stage;

CREATE MATERIALIZED VIEW span_stage_to_spans TO spans AS
SELECT * EXCEPT (system_instructions, input_messages, output_messages, tool_definitions,
                 tool_arguments, tool_result, request_index, refusal, is_score_carrier, closed)
FROM span_stage
WHERE refusal = '' AND NOT is_score_carrier;

CREATE MATERIALIZED VIEW span_stage_to_messages TO messages AS
SELECT trace_id, span_id, started_at, system_instructions, input_messages, output_messages,
       tool_definitions, tool_arguments, tool_result, ingested_at
FROM span_stage
WHERE refusal = '' AND NOT is_score_carrier
    AND (system_instructions != '' OR input_messages != '' OR output_messages != ''
         OR tool_definitions != '' OR tool_arguments != '' OR tool_result != '');

CREATE MATERIALIZED VIEW span_stage_to_scores TO scores AS
SELECT
    if(event['tollway.score.trace_id'] != '', lower(event['tollway.score.trace_id']), span_trace_id) AS trace_id,
    if(event['tollway.score.trace_id'] != '', lower(event['tollway.score.span_id']), scored_span_id) AS span_id,
    event['gen_ai.evaluation.name'] AS name,
    if(event['tollway.score.source'] != '', event['tollway.score.source'], 'code') AS source,
    if(event['tollway.score.kind'] = 'outcome', 'outcome', 'score') AS kind,
    multiIf(event['gen_ai.evaluation.score.value'] IN ('true', 'True'), 1.,
            event['gen_ai.evaluation.score.value'] IN ('false', 'False'), 0.,
            toFloat64OrNull(event['gen_ai.evaluation.score.value'])) AS value,
    lower(event['gen_ai.evaluation.score.label']) AS label,
    event['gen_ai.evaluation.explanation'] AS explanation,
    event_time AS scored_at,
    ingested_at
FROM
(
    SELECT trace_id AS span_trace_id, span_id AS scored_span_id, ingested_at, event_times, event_names, event_attributes
    FROM span_stage
    WHERE refusal = '' AND has(event_names, 'gen_ai.evaluation.result')
)
ARRAY JOIN event_times AS event_time, event_names AS event_name, event_attributes AS event
WHERE event_name = 'gen_ai.evaluation.result' AND event['gen_ai.evaluation.name'] != '';

CREATE MATERIALIZED VIEW span_stage_to_touched_traces TO touched_traces AS
SELECT DISTINCT
    ingested_at,
    if(is_score_carrier, lower(event_attributes[indexOf(event_names, 'gen_ai.evaluation.result')]['tollway.score.trace_id']), trace_id) AS trace_id
FROM span_stage
WHERE refusal = '';

CREATE MATERIALIZED VIEW span_stage_to_refused_spans TO refused_spans AS
SELECT ingested_at AS refused_at, request_index, project, service, name, trace_id, span_id, refusal AS reason
FROM span_stage
WHERE refusal != '';

CREATE TABLE score_stage_closed
ENGINE = Null
EMPTY AS
SELECT
    *, toUInt32(0) AS request_index, '' AS refusal, '' AS project, '' AS service,
    false AS is_message, '' AS input, '' AS output, '' AS system_instructions, '' AS tool_definitions
FROM scores;

ALTER TABLE score_stage_closed ADD COLUMN closed UInt8 DEFAULT throwIf(true, 'the tables are being brought up to date');

RENAME TABLE score_stage_closed TO score_stage;

CREATE MATERIALIZED VIEW score_stage_to_scores TO scores AS
SELECT * EXCEPT (request_index, refusal, project, service, is_message, input, output,
                 system_instructions, tool_definitions, closed)
FROM score_stage
WHERE refusal = '' AND NOT is_message;

CREATE MATERIALIZED VIEW score_stage_to_message_events TO message_events AS
SELECT trace_id, span_id, scored_at AS told_at, input, output, system_instructions, tool_definitions, ingested_at
FROM score_stage
WHERE refusal = '' AND is_message;

CREATE MATERIALIZED VIEW score_stage_to_touched_traces TO touched_traces AS
SELECT DISTINCT ingested_at, trace_id
FROM score_stage
WHERE refusal = '' AND NOT is_message;

CREATE MATERIALIZED VIEW score_stage_to_refused_spans TO refused_spans AS
SELECT ingested_at AS refused_at, request_index, project, service, toString(name) AS name, trace_id, span_id, refusal AS reason
FROM score_stage
WHERE refusal != '';

CREATE MATERIALIZED VIEW span_stage_to_unpriced_models TO unpriced_models AS
SELECT DISTINCT lower(provider) AS provider, lower(response_model) AS model, lower(request_model) AS request_model, ingested_at AS seen_at
FROM span_stage
WHERE refusal = '' AND cost_status = 'unpriced';

-- What the roll-up wants to know of messages, taken while they are in memory. Characters beyond
-- ASCII are told by their extra bytes, or by JSON's \u escapes beyond Latin-1.
CREATE MATERIALIZED VIEW span_stage_to_span_traits TO span_traits AS
SELECT trace_id, span_id, started_at, user_turns, non_latin_share, invalid_tool_arguments, is_empty, ingested_at
FROM
(
    SELECT
        trace_id, span_id, started_at, ingested_at,
        toUInt16(least(countSubstrings(input_messages, '"user"'), 65535)) AS user_turns,
        splitByString('"assistant"', splitByString('"user"', input_messages)[-1])[1] AS last_turn,
        countSubstrings(last_turn, '\\u') AS escapes,
        toFloat32(least(1, (length(last_turn) - lengthUTF8(last_turn) + escapes - countSubstrings(last_turn, '\\u00'))
                           / greatest(toInt64(lengthUTF8(last_turn)) - 5 * toInt64(escapes), 1))) AS non_latin_share,
        toUInt16(if(position(output_messages, 'arguments') = 0, 0,
            arrayCount(a -> a != '' AND NOT startsWith(a, '{\\''') AND NOT isValidJSON(JSONExtractString(concat('["', a, '"]'), 1)),
                       extractAll(output_messages, 'arguments" ?: ?"((?:[^"\\\\]|\\\\.)*)"')))) AS invalid_tool_arguments,
        output_messages != '' AND status != 'ERROR' AND position(output_messages, 'tool_call') = 0
            AND NOT match(output_messages, '[".](content|text|refusal|transcript|response|uri)" ?: ?("[^"]|[\\[{])') AS is_empty
    FROM span_stage
    WHERE refusal = '' AND NOT is_score_carrier AND (input_messages != '' OR output_messages != '')
)
WHERE user_turns > 1 OR non_latin_share > 0.02 OR invalid_tool_arguments > 0 OR is_empty;

ALTER TABLE span_stage DROP COLUMN closed;

ALTER TABLE score_stage DROP COLUMN closed;

-- 3b. Both sides of the conversation in OpenTelemetry's form, [{"role", "parts": [{"type", …}]}], of
-- whatever form they came in: first a list of single messages of each side, then each message.
-- A layer a step: the engine plans an alias once for each of its uses.
SELECT *,
    -- m is a message as told, b its body without the wrappings, whose the side that speaks
    arrayMap((k, e, j, whose, raw) -> if(empty(k) AND empty(e) AND empty(j), raw, concat('[', arrayStringConcat(arrayMap(m ->
           arrayElement(arrayMap(b -> arrayElement(arrayMap((role, content) -> concat(
                   '{"role":', toJSONString(role), ',"parts":[',
                   arrayStringConcat(arrayFilter(p -> p != '', arrayConcat(
                       [if(JSONExtractString(b, 'reasoning_content') != '', concat('{"type":"reasoning","content":', JSONExtractRaw(b, 'reasoning_content'), '}'), '')],
                       multiIf(
                           content IN ('', 'null', '""'), emptyArrayString(),
                           if(role = 'tool', NOT JSONHas(b, 'parts') AND JSONExtractString(content, 1, 'type') != 'tool-result', 0), [concat('{"type":"tool_call_response","id":', arrayFirst(x -> x NOT IN ('', 'null'), [JSONExtractRaw(b, 'tool_call_id'), JSONExtractRaw(b, 'call_id'), JSONExtractRaw(b, 'id'), '""']), ',"response":', content, '}')],
                           arrayMap(p -> multiIf(
                                        startsWith(p, '"'), concat('{"type":"text","content":', p, '}'),
                                        JSONExtractString(p, 'type') IN ('text', 'input_text', 'output_text') AND JSONHas(p, 'text'), concat('{"type":"text","content":', JSONExtractRaw(p, 'text'), '}'),
                                        JSONExtractString(p, 'type') IN ('image_url', 'input_image', 'image'),
                                        concat('{"type":"uri","modality":"image","uri":', arrayFirst(x -> startsWith(x, '"'), [JSONExtractRaw(p, 'image_url', 'url'), JSONExtractRaw(p, 'image_url'), JSONExtractRaw(p, 'image.image.url'), JSONExtractRaw(p, 'url'), '""']), '}'),
                                        JSONExtractString(p, 'type') = 'tool-call', concat('{"type":"tool_call","id":', JSONExtractRaw(p, 'toolCallId'), ',"name":', JSONExtractRaw(p, 'toolName'), ',"arguments":', arrayFirst(x -> x != '', [JSONExtractRaw(p, 'input'), JSONExtractRaw(p, 'args'), 'null']), '}'),
                                        JSONExtractString(p, 'type') = 'tool-result', concat('{"type":"tool_call_response","id":', JSONExtractRaw(p, 'toolCallId'), ',"response":', arrayFirst(x -> x != '', [JSONExtractRaw(p, 'output'), JSONExtractRaw(p, 'result'), '""']), '}'),
                                        JSONExtractString(p, 'type') = 'tool_use', concat('{"type":"tool_call","id":', JSONExtractRaw(p, 'id'), ',"name":', JSONExtractRaw(p, 'name'), ',"arguments":', JSONExtractRaw(p, 'input'), '}'),
                                        JSONExtractString(p, 'type') = 'tool_result', concat('{"type":"tool_call_response","id":', JSONExtractRaw(p, 'tool_use_id'), ',"response":', if(JSONHas(p, 'content'), JSONExtractRaw(p, 'content'), '""'), '}'),
                                        JSONExtractString(p, 'type') = 'thinking', concat('{"type":"reasoning","content":', JSONExtractRaw(p, 'thinking'), '}'),
                                        p),
                                    if(startsWith(content, '['), arrayFilter(p -> JSONExtractString(p, 'type') != 'tool_call', JSONExtractArrayRaw(content)), [content]))),
                       arrayMap(c -> concat('{"type":"tool_call","id":', arrayFirst(x -> x != '', [JSONExtractRaw(c, 'call_id'), JSONExtractRaw(c, 'id'), JSONExtractRaw(c, 'toolCallId'), 'null']),
                                            ',"name":', arrayFirst(x -> x != '', [JSONExtractRaw(c, 'function', 'name'), JSONExtractRaw(c, 'name'), JSONExtractRaw(c, 'toolName'), 'null']),
                                            ',"arguments":', arrayElement(arrayMap(a -> if(startsWith(a, '"') AND isValidJSON(JSONExtractString(a)), JSONExtractString(a), a),
                                                                                   [arrayFirst(x -> x != '', [JSONExtractRaw(c, 'function', 'arguments'), JSONExtractRaw(c, 'arguments'), JSONExtractRaw(c, 'args'), JSONExtractRaw(c, 'input'), 'null'])]), 1), '}'),
                                if(JSONExtractString(b, 'type') = 'function_call', [b], arrayConcat(JSONExtractArrayRaw(b, 'tool_calls'), arrayFilter(p -> JSONExtractString(p, 'type') = 'tool_call', JSONExtractArrayRaw(b, 'parts'))))))), ','),
                   ']', arrayElement(arrayMap(r -> if(r IN ('', 'null'), '', concat(',"finish_reason":', r)),
                                              [arrayFirst(x -> x != '', [JSONExtractRaw(m, 'finish_reason'), JSONExtractRaw(m, 'generation_info', 'finish_reason'), ''])]), 1), '}'),
               [arrayElement(arrayMap(r -> transform(r, ['human', 'ai', 'aimessagechunk', 'function', 'model', 'function_call', 'function_call_output', 'output', 'chat'],
                                                        ['user', 'assistant', 'assistant', 'tool', 'assistant', 'assistant', 'tool', 'assistant', 'user'],
                                                        if(r IN ('user', 'assistant', 'system', 'tool', 'developer'), r, whose)),
                                      [lower(arrayFirst(x -> x != '', [if(startsWith(b, '['), JSONExtractString(b, 1), ''), JSONExtractString(b, 'role'), JSONExtractString(b, 'type'), JSONExtractString(m, 'type'), whose]))]), 1)],
               [arrayFirst(x -> x NOT IN ('', 'null'), [if(startsWith(b, '"'), b, ''), if(startsWith(b, '['), JSONExtractRaw(b, 2), ''), JSONExtractRaw(b, 'parts'), JSONExtractRaw(b, 'content'), JSONExtractRaw(b, 'output'), ''])]), 1),
               [arrayFirst(x -> x != '', [JSONExtractRaw(m, 'message', 'kwargs'), JSONExtractRaw(m, 'message', 'data'), if(startsWith(JSONExtractRaw(m, 'message'), '{'), JSONExtractRaw(m, 'message'), ''),
                                          if(startsWith(JSONExtractRaw(m, 'kwargs'), '{'), JSONExtractRaw(m, 'kwargs'), ''), if(startsWith(JSONExtractRaw(m, 'data'), '{'), JSONExtractRaw(m, 'data'), ''), m])]), 1),
        arrayFilter(m -> NOT match(m, '^.{0,40}"role": ?"tool", ?"content": ?.{0,4}"type": ?"function"'), multiIf(notEmpty(k), k, notEmpty(e), e, j))), ','), ']')),
        of_keys, of_events, of_json, ['user', 'assistant'], [told_input, told_output]) AS conversation
FROM
(
    SELECT *,
        -- a list, or an object that holds one; LangChain's lists have a list a prompt inside
        arrayMap((body, t) -> multiIf(
            body != '', if(startsWith(JSONExtractRaw(body, 1), '[') AND NOT startsWith(JSONExtractRaw(body, 1, 1), '"'), JSONExtractArrayRaw(body, 1), JSONExtractArrayRaw(body)),
            startsWith(t, '{') AND (JSONHas(t, 'role') OR JSONHas(t, 'content') OR JSONHas(t, 'lc')), [t],
            startsWith(t, '{') AND startsWith(JSONExtractRaw(t, 'input'), '"'), [JSONExtractRaw(t, 'input')],
            t = '' OR NOT is_call, emptyArrayString(),
            startsWith(t, '"') AND isValidJSON(t), [t],
            [toJSONString(t)]), bodies, [told_input, told_output]) AS of_json,
        -- indexed keys: 0.tool_calls.1.name is the same whichever convention wrote it
        arrayMap(pairs ->
            if(NOT arrayExists(p -> NOT endsWith(p.1, '.role'), pairs), emptyArrayString(),
               arrayMap(n -> concat('{', arrayStringConcat(arrayMap(p -> concat(toJSONString(substring(p.1, length(n) + 2)), ':', toJSONString(p.2)),
                                                                    arrayFilter(p -> if(startsWith(p.1, concat(n, '.')), match(p.1, '^[0-9]+\\.[a-z_]+$'), 0), pairs)), ','),
                            if(arrayExists(p -> startsWith(p.1, concat(n, '.content')) AND p.1 != concat(n, '.content'), pairs),
                               concat(',"content":[', arrayStringConcat(arrayMap(k -> concat('{', arrayStringConcat(arrayMap(p -> concat(toJSONString(substring(p.1, length(k) + 2)), ':', toJSONString(p.2)), arrayFilter(p -> startsWith(p.1, concat(k, '.')), pairs)), ','), '}'),
                                                                   arraySort(k -> toUInt32OrZero(extract(k, '[0-9]+$')), arrayDistinct(arrayFilter(k -> k != '', arrayMap(p -> if(startsWith(p.1, concat(n, '.')), extract(p.1, '^[0-9]+\\.contents?\\.[0-9]+'), ''), pairs))))), ','), ']'), ''),
                            if(arrayExists(p -> startsWith(p.1, concat(n, '.tool_calls.')), pairs),
                               concat(',"tool_calls":[', arrayStringConcat(arrayMap(k -> concat('{', arrayStringConcat(arrayMap(p -> concat(toJSONString(substring(p.1, length(k) + 2)), ':', toJSONString(p.2)), arrayFilter(p -> startsWith(p.1, concat(k, '.')), pairs)), ','), '}'),
                                                                   arraySort(k -> toUInt32OrZero(extract(k, '[0-9]+$')), arrayDistinct(arrayFilter(k -> k != '', arrayMap(p -> if(startsWith(p.1, concat(n, '.')), extract(p.1, '^[0-9]+\\.tool_calls\\.[0-9]+'), ''), pairs))))), ','), ']'), ''),
                            '}'),
                        arraySort(n -> toUInt32OrZero(n), arrayDistinct(arrayFilter(n -> n != '', arrayMap(p -> extract(p.1, '^([0-9]+)\\.'), pairs)))))),
            fields) AS of_keys,
        -- span events: gen_ai.event.content holds the whole, else the attributes are its fields
        arrayMap(is_output ->
            arrayMap(x -> if(x.2['gen_ai.event.content'] != '', concat('{"role":"', transform(x.1, @message_events(), @message_roles(), 'user'), '",', substring(trimLeft(x.2['gen_ai.event.content']), 2)),
                             concat('{', arrayStringConcat(arrayMap((k, v) -> concat(toJSONString(k), ':', if(match(v, '^[\\[{]') AND isValidJSON(v), v, toJSONString(v))),
                                                                    mapKeys(x.2), mapValues(x.2)), ','),
                                    if(x.2['role'] = '', concat(if(empty(x.2), '', ','), '"role":"', transform(x.1, @message_events(), @message_roles(), 'user'), '"'), ''), '}')),
                     arrayFilter(x -> (x.1 = 'gen_ai.choice') = is_output, message_events)),
            [0, 1]) AS of_events
    FROM
    (
        SELECT *,
            arrayMap(t -> arrayFirst(body -> startsWith(body, '['),
                                     [t, JSONExtractRaw(t, 'messages'), JSONExtractRaw(t, 'choices'), JSONExtractRaw(t, 'generations'), JSONExtractRaw(t, 'inputs', 'messages'),
                                      JSONExtractRaw(t, 'outputs', 'messages'), JSONExtractRaw(t, 'input'), JSONExtractRaw(t, 'output')]),
                     [told_input, told_output]) AS bodies,
            arrayMap(pairs -> arrayMap(p -> (replaceRegexpAll(p.1, '^(llm\\.(input_messages|output_messages|prompts|completions)|gen_ai\\.(input\\.messages|output\\.messages|prompt|completion))\\.|message_content\\.|message\\.|tool_call\\.|function\\.', ''), p.2), pairs), indexed) AS fields
        FROM
        (
            SELECT *,
                @operation_of(told_operation) IN ('chat', 'text_completion', 'generate_content', 'embeddings') AS is_call,
                arrayMap(prefix -> arrayFilter((p, c) -> c = prefix, arrayZip(keys, texts), codes), [toUInt16(@code(input_message_keys) + 32), toUInt16(@code(output_message_keys) + 32)]) AS indexed,
                arrayFilter(x -> has(@message_events(), x.1),
                            arrayMap((name, a) -> (name, mapFromArrays(a.key, arrayMap(v -> @value(v), a.value))), span.events.name, span.events.attributes)) AS message_events
            FROM
            (
                SELECT *, trimLeft(@text(input_messages)) AS told_input, if(@text(answer_text) = '' AND @text(answer_calls) = '' OR @text(output_messages) != '', trimLeft(@text(output_messages)), concat('{"role":"assistant","content":', toJSONString(@text(answer_text)), ',"tool_calls":', if(startsWith(@text(answer_calls), '['), @text(answer_calls), '[]'), '}')) AS told_output, lower(@text(operation)) AS told_operation
                FROM
                (

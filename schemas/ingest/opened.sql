-- 2b. What a span of a convention that takes the long way tells, one attribute each: its own (renamed
-- where its convention means another name), members of JSON objects, events, labels of the resource.
-- A layer a step: the engine plans an alias once for each of its uses.
SELECT
    resource_all, scope, span, project, request_index,
    arrayConcat(@renamed(span.attributes.key), more.1) AS keys,
    arrayConcat(own_texts, arrayMap(t -> if(startsWith(t, '"'), JSONExtractString(t), t), more.2)) AS told_texts
FROM
(
SELECT *,
    arrayFilter(p -> p.2 != 'null' AND dictHas('codec.conventions', p.1), arrayConcat(
        members,
        arrayFlatten(arrayMap(p -> arrayMap(m -> (concat(p.1, '.', m.1), m.2), JSONExtractKeysAndValuesRaw(p.2)),
                              arrayFilter(p -> has(@objects(), p.1), members))),
        arrayFlatten(arrayMap((name, t, a) -> arrayPushBack(arrayMap((k, v) -> (concat(name, '/', k), @value(v)), a.key, a.value),
                                                            (concat(name, '/time'), toString((toInt64(t) - toInt64(span.start_time_unix_nano)) / 1e9))),
                              span.events.name, span.events.time_unix_nano, span.events.attributes)),
        arrayMap((k, v) -> (concat('resource/', k), v), mapKeys(resource_all), mapValues(resource_all)))) AS more
FROM
(
    SELECT *,
        arrayFlatten(arrayMap(p -> arrayMap(m -> (concat(p.1, '.', m.1), m.2), JSONExtractKeysAndValuesRaw(p.2)),
                              arrayFilter(p -> has(@objects(), p.1), arrayZip(span.attributes.key, own_texts)))) AS members
    FROM
    (
        SELECT *,
            hasAny(span.attributes.key, @quoted_markers()) AS is_quoted,
            arrayMap((k, t) -> if(startsWith(t, '"') AND (is_quoted OR @is_quoted(k)), JSONExtractString(t), t),
                     span.attributes.key, arrayMap(v -> @value(v), span.attributes.value)) AS own_texts
        FROM
        (

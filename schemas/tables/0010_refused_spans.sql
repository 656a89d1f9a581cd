-- What was not stored, for whoever looks for it.
CREATE TABLE refused_spans
(
    refused_at    DateTime64(9, 'UTC')   COMMENT 'commit that refused it, UTC',
    request_index UInt32                 COMMENT 'position of its request in the commit',
    project       LowCardinality(String) COMMENT 'project of the token that sent it',
    service       LowCardinality(String) COMMENT 'resource service.name',
    name          String                 COMMENT 'span name',
    trace_id      String                 COMMENT 'trace id as sent, hex',
    span_id       String                 COMMENT 'span id as sent, hex',
    reason        String                 COMMENT 'why'
)
ENGINE = MergeTree
ORDER BY refused_at
TTL toDateTime(refused_at) + INTERVAL 7 DAY
COMMENT 'Spans refused one by one, with the reason.';

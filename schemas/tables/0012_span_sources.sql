-- Where a span's labels came from, what it was tagged with, and what of it was not believed.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS route_source LowCardinality(String) COMMENT 'attribute that told the route; NAME.MEMBER inside JSON, resource/NAME on the resource' AFTER route,
    ADD COLUMN IF NOT EXISTS tags Array(LowCardinality(String)) COMMENT 'tags of the span or its trace' AFTER user_id,
    ADD COLUMN IF NOT EXISTS doubts Array(LowCardinality(String)) COMMENT 'counts told and not believed, as COLUMN: negative, absurd (over 2^31) or no number; their columns are NULL, what was told is in attributes' AFTER link_span_ids;

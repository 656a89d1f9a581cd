-- Merges rewrite what was said two and a half times within minutes; a wider choice of parts makes
-- that two, with as many parts left for a read to look into.
ALTER TABLE spans MODIFY SETTING merge_selector_base = 10;

ALTER TABLE messages MODIFY SETTING merge_selector_base = 10;

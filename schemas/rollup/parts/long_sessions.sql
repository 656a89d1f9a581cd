-- Sessions of more than one trace: what is in them is multi-turn.
long_sessions AS
    (
        SELECT route, session_id
        FROM traces FINAL
        WHERE route IN {routes:Array(String)} AND session_id != '' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
        GROUP BY route, session_id
        HAVING count() > 1
    )

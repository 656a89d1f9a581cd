-- What a trace is drawn with: its session, else its user, else it alone.
multiIf(session_id != '', session_id, user_id != '', user_id, trace_id)

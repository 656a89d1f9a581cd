-- Whether a trace is in each of the built-in cohorts, in the order of their names in arms.sql.
largest_input_tokens >= {long_context_tokens:UInt32}, tool_calls > 0,
                         user_turns > 1 OR (session_id != '' AND (route, session_id) IN (long_sessions)),
                         non_latin_share >= {non_latin_share:Float64}

-- What several metrics of a trace are made of.
failed OR errors > 0 AS has_error,
            tool_calls > 0 OR tool_errors > 0 AS has_tools,
            has_tools OR invalid_tool_arguments > 0 AS asked_tools,
            toFloat64(ifNull(t.cost_usd, if(shadow_cost_usd > 0, shadow_cost_usd, 0))) AS paid,
            paid > 0 AND unpriced_calls = 0 AS is_priced,
            is_priced AND has_error + truncated + refused + empty_answers + arraySum(mapValues(score_fails)) = 0 AS is_success,
            if(is_priced, paid, 0) AS usd,
            if(is_priced, log(usd), 0) AS log_usd

-- Whether a trace counts for latency: it began after its side's warm-up ({warm_s}, one a side of a route).
(empty({warm_s:Array(Array(UInt32))}) OR toUnixTimestamp(started_at) >= {warm_s:Array(Array(UInt32))}[indexOf({routes:Array(String)}, route)][indexOf({warm_sides:Array(Array(String))}[indexOf({routes:Array(String)}, route)], side)])

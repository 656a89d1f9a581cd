"""SQL over the trace tables: ClickHouse's HTTP interface in front of the embedded store."""

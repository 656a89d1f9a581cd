"""Where spans live: one interface, an embedded chDB or a ClickHouse server behind it."""

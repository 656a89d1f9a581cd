"""What a reader's statement may consist of, as lists; guard.py holds a statement against them."""

from __future__ import annotations

STATEMENTS = frozenset(
    {
        "SelectWithUnionQuery",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "Explain",
        "ShowTables",
        "ShowColumns",
        "ShowIndexes",
        "ShowFunctions",
        "ShowSetting",
        "ShowEngineQuery",
        "ShowCreateTableQuery",
        "ShowCreateViewQuery",
        "ShowCreateDictionaryQuery",
        "ShowCreateDatabaseQuery",
        "DescribeQuery",
        "ExistsTableQuery",
        "ExistsViewQuery",
        "ExistsDictionaryQuery",
        "ExistsDatabaseQuery",
    }
)
# Of these the engine gives no JSON; their listings show all that they can hold, but for APPLY.
PLAIN_STATEMENTS = frozenset(
    {
        "DescribeQuery",
        "ExistsTableQuery",
        "ExistsViewQuery",
        "ExistsDictionaryQuery",
        "ExistsDatabaseQuery",
        "ShowCreateTableQuery",
        "ShowCreateViewQuery",
        "ShowCreateDictionaryQuery",
        "ShowCreateDatabaseQuery",
        "ShowEngineQuery",
        "ShowFunctions",
        "ShowSetting",
    }
)
PARTS = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsApplyTransformer",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement",
        "ColumnsReplaceTransformerReplacement",
        "ColumnsTransformerList",
        "DataType",
        "ExplainQuery",
        "ExpressionList",
        "Function",
        "Identifier",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "QualifiedColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher",
        "QueryParameter",
        "SampleRatio",
        "Set",
        "SetQuery",
        "ShowColumnsQuery",
        "ShowIndexesQuery",
        "ShowTablesQuery",
        "Subquery",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
        "WithElement",
        "OutFile",
    }
)
EXPLAINED = frozenset(
    {"EXPLAIN", "EXPLAIN AST", "EXPLAIN SYNTAX", "EXPLAIN QUERY TREE", "EXPLAIN PLAN"}
    | {"EXPLAIN PIPELINE", "EXPLAIN ESTIMATE"}
)
SYSTEM_TABLES = frozenset(
    {
        "aggregate_function_combinators",
        "build_options",
        "codecs",
        "collations",
        "columns",
        "contributors",
        "data_skipping_indices",
        "data_type_families",
        "database_engines",
        "databases",
        "dictionaries",
        "events",
        "formats",
        "functions",
        "keywords",
        "licenses",
        "metrics",
        "mutations",
        "numbers",
        "numbers_mt",
        "one",
        "parts",
        "parts_columns",
        "projections",
        "settings",
        "table_engines",
        "table_functions",
        "tables",
        "time_zones",
        "zeros",
        "zeros_mt",
    }
)
# Tables of `system` that tell where on the disk things are, beside what a reader needs of them.
TABLES_WITH_PATHS = frozenset({"databases", "tables", "parts", "parts_columns", "licenses"})
PATH_COLUMNS = frozenset(
    {"data_path", "data_paths", "metadata_path", "path", "filenames", "license_path"}
)

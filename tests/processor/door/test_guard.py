"""What a reader's statement may and may not do, run for real through the read-only door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tollway_processor.door.client import DoorClient
from tollway_processor.door.functions import TABLE_FUNCTIONS
from tollway_processor.door.http import Door
from tollway_processor.door.vocabulary import SYSTEM_TABLES
from tollway_processor.errors import StoreError

READS = [
    "SELECT 1",
    "SELECT 1;",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "SELECT 1 EXCEPT SELECT 2",
    "SELECT 1 INTERSECT SELECT 1",
    "FROM spans SELECT trace_id",
    "/* why */ SELECT 1 -- because; DROP TABLE spans",
    "SELECT $$a;b$$, ';', `trace_id`, \"cost\" FROM spans",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM x WHERE a < 3) SELECT * FROM x",
    "WITH (n) -> n + 1 AS next SELECT next(1)",
    "SELECT trace_id FROM spans AS s FINAL PREWHERE v > 0 WHERE cost > 0 ORDER BY ALL LIMIT 1 BY v",
    "SELECT count() FROM spans AS s JOIN spans AS t USING (trace_id) LEFT JOIN spans AS u ON true",
    "SELECT s.v, x FROM spans AS s ARRAY JOIN [1, 2] AS x ASOF JOIN spans t USING (trace_id, v)",
    "SELECT * EXCEPT (v), * REPLACE ('x' AS trace_id), COLUMNS('c.*') FROM spans",
    "SELECT * APPLY toString, COLUMNS('v') APPLY (x -> x + 1), COLUMNS('v') APPLY quantiles(0.5)"
    " FROM spans GROUP BY ALL",
    "SELECT quantilesTDigestIf(0.5, 0.9)(m, m > 1), sumMerge(s), uniqExactArray([m])"
    " FROM (SELECT sumState(v) AS s, max(v) AS m, 2 AS v FROM spans GROUP BY trace_id) GROUP BY v",
    "SELECT sum(v) OVER w, row_number() OVER (ORDER BY v) FROM spans"
    " WINDOW w AS (PARTITION BY trace_id ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    " QUALIFY sum(v) OVER w > 0",
    "SELECT CASE WHEN v > 1 THEN 1 ELSE 2 END, v = 1 ? 1 : 2, [1, 2][1], (1, 2).1, v IS NULL, -v,"
    " v BETWEEN 1 AND 2, trace_id LIKE 'a%', v IN (1, 2), v IN (SELECT 1), v::String,"
    " CAST([v] AS Array(Nullable(String))) FROM spans LIMIT 0",
    "SELECT EXTRACT(DAY FROM at), INTERVAL 1 DAY, DATE '2026-01-01', TRIM(BOTH 'a' FROM 'ab'),"
    " SUBSTRING('abc' FROM 2), date_add(DAY, 1, at), toStartOfHour(at), now64(3) FROM spans",
    "SELECT count(DISTINCT v), count(*) FILTER (WHERE v > 1), groupUniqArray(3)(v),"
    " EXISTS (SELECT 1), arrayMap(x -> x * 2, [1]), map('a', 1)['a'] FROM spans",
    "SELECT trace_id, count() FROM spans GROUP BY GROUPING SETS ((trace_id), ()) HAVING 1",
    "SELECT trace_id, grouping(trace_id) FROM spans GROUP BY trace_id WITH ROLLUP WITH TOTALS",
    "SELECT number FROM numbers(3) ORDER BY number WITH FILL FROM 0 TO 9 STEP 2",
    "SELECT number AS n, n AS m FROM numbers(3) ORDER BY n WITH FILL TO 9 INTERPOLATE (m AS m + 1)",
    "SELECT * FROM values('a Int8, b String', (1, 'x'))",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT * FROM view(SELECT 1)",
    "SELECT * FROM by_cost(least = 0.1)",
    "SELECT spans.v FROM default.spans WHERE trace_id IN spans_named",
    "SELECT JSONExtractString('{\"a\": \"b\"}', 'a'), formatReadableSize(1), getSetting('final')",
    "SELECT version(), timezone(), currentDatabase(), hostName(), uptime() >= 0",
    "SELECT name, type, comment FROM system.columns WHERE table = 'spans'",
    "SELECT database, name, engine, total_rows FROM system.tables",
    "SELECT name FROM system.databases",
    "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts GROUP BY table",
    "SELECT * FROM information_schema.columns LIMIT 1",
    "SELECT * FROM system.settings LIMIT 1",
    "SELECT untuple((1, 2)), (1, 2).*, arrayJoin([1])",
    "SELECT 1 FORMAT JSON",
    "SELECT 1 SETTINGS max_threads = 2, max_execution_time = 5 FORMAT JSON",
    "SELECT count() FROM numbers(10) SETTINGS max_memory_usage = '400M'",
    "EXPLAIN SELECT count() FROM spans",
    "EXPLAIN PIPELINE SELECT count() FROM spans",
    "EXPLAIN indexes = 1 SELECT count() FROM spans WHERE trace_id = 'a'",
    "EXPLAIN SYNTAX SELECT 1",
    "EXPLAIN AST SELECT 1",
    "EXPLAIN QUERY TREE SELECT 1",
    "EXPLAIN ESTIMATE SELECT count() FROM spans",
    "SHOW TABLES",
    "SHOW DATABASES",
    "SHOW CREATE TABLE spans",
    "SHOW CREATE VIEW by_cost",
    "SHOW COLUMNS FROM spans",
    "SHOW INDEXES FROM spans",
    "SHOW FUNCTIONS LIKE 'sum'",
    "SHOW SETTINGS LIKE 'final'",
    "DESCRIBE TABLE spans",
    "DESC spans FORMAT TSV",
    "DESCRIBE (SELECT 1 AS a)",
    "EXISTS TABLE spans",
    "EXISTS spans",
    "EXISTS DATABASE nope",
]

# Statements that are not reads, or not one statement.
WRITES = [
    "INSERT INTO spans VALUES ('x', 1, 1, 1)",
    "INSERT INTO spans SELECT * FROM spans",
    "INSERT INTO FUNCTION file('{stolen}', 'TSV', 'a Int8') SELECT 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "CREATE TABLE x ENGINE = File(TSV) AS SELECT 1",
    "CREATE VIEW x AS SELECT file('{secret}')",
    "CREATE FUNCTION x AS (a) -> file(a)",
    "CREATE DICTIONARY x (a Int8) PRIMARY KEY a SOURCE(FILE(path '{secret}' format 'TSV')) LAYOUT(FLAT())",
    "CREATE DATABASE x ENGINE = Filesystem('/')",
    "CREATE USER x",
    "CREATE NAMED COLLECTION x AS a = 1",
    "ALTER TABLE spans DELETE WHERE 1",
    "DELETE FROM spans WHERE 1",
    "UPDATE spans SET v = 1 WHERE 1",
    "DROP TABLE spans",
    "TRUNCATE TABLE spans",
    "RENAME TABLE spans TO x",
    "EXCHANGE TABLES spans AND spans_named",
    "DETACH TABLE spans",
    "ATTACH TABLE x FROM '/' (a Int8) ENGINE = File(TSV)",
    "OPTIMIZE TABLE spans FINAL",
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "SET max_threads = 1",
    "USE system",
    "GRANT SELECT ON *.* TO x",
    "BACKUP TABLE spans TO File('{stolen}')",
    "RESTORE TABLE spans FROM File('{secret}')",
    "EXECUTE AS x SELECT 1",
    "BEGIN TRANSACTION",
    "CHECK TABLE spans",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE spans",
    "SELECT 1;\n-- x\nDROP TABLE spans",
    "EXPLAIN AST SELECT 1; DROP TABLE spans",
    "SELECT 1 FORMAT TSV; DROP TABLE spans",
    "SHOW TABLES; INSERT INTO spans VALUES ('x', 1, 1, 1)",
    "EXPLAIN INSERT INTO spans SELECT * FROM spans",
    "EXPLAIN DROP TABLE spans",
    "EXPLAIN AST DROP TABLE spans",
    "WITH x AS (SELECT 1) INSERT INTO spans SELECT 'a', 1, 1, 1 FROM x",
    "SELECT 1 INTO OUTFILE '{stolen}'",
    "SELECT 1 INTO OUTFILE '{stolen}' APPEND FORMAT TSV SETTINGS max_threads = 1",
    "select 1 /**/ into/**/outfile '{stolen}' truncate",
    "(SELECT 1) UNION ALL (SELECT 2) INTO OUTFILE '{stolen}'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{stolen}'",
    "SHOW TABLES INTO OUTFILE '{stolen}'",
    "DESCRIBE spans INTO OUTFILE '{stolen}'",
    "EXISTS TABLE spans INTO OUTFILE '{stolen}'",
    "SHOW CREATE TABLE spans INTO OUTFILE '{stolen}'",
]

# Ways to the server's files, network, processes and to other people's queries.
REACHES = [
    "SELECT file('{secret}')",
    "SELECT FILE('{secret}')",
    "SELECT fIlE('{secret}')",
    "SELECT `file`('{secret}')",
    "SELECT \"file\"('{secret}')",
    "SELECT file/**/('{secret}')",
    "SELECT file -- x\n('{secret}')",
    "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "SELECT * APPLY file FROM (SELECT '{secret}')",
    "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "SELECT * APPLY (x -> file(x)) FROM (SELECT '{secret}')",
    "SELECT COLUMNS('.*') APPLY (x -> concat(file(x), '')) FROM (SELECT '{secret}' AS a)",
    "SELECT * APPLY (x -> arrayMap(y -> file(y), [x])) FROM (SELECT '{secret}')",
    "SELECT * REPLACE (file(a) AS a) FROM (SELECT '{secret}' AS a)",
    "DESCRIBE (SELECT * APPLY (x -> file(x)) FROM (SELECT '{secret}'))",
    "EXPLAIN SELECT * APPLY (x -> file(x)) FROM (SELECT '{secret}')",
    "EXPLAIN QUERY TREE SELECT file('{secret}')",
    "EXPLAIN SYNTAX SELECT file('{secret}')",
    "WITH x -> file(x) AS f SELECT f('{secret}')",
    "WITH (SELECT file('{secret}')) AS x SELECT x",
    "WITH x AS (SELECT file('{secret}') AS a) SELECT a FROM x",
    "SELECT (SELECT file('{secret}'))",
    "SELECT 1 WHERE file('{secret}') = ''",
    "SELECT 1 FROM spans PREWHERE file('{secret}') = ''",
    "SELECT 1 HAVING file('{secret}') = ''",
    "SELECT 1 FROM spans QUALIFY file('{secret}') = ''",
    "SELECT 1 FROM spans LIMIT length(file('{secret}'))",
    "SELECT 1 FROM spans LIMIT 1 BY file('{secret}')",
    "SELECT 1 FROM spans ORDER BY file('{secret}')",
    "SELECT number FROM numbers(3) ORDER BY number WITH FILL FROM length(file('{secret}')) TO 9",
    "SELECT sum(v) OVER (ORDER BY file('{secret}')) FROM spans",
    "SELECT sum(v) OVER w FROM spans WINDOW w AS (ROWS length(file('{secret}')) PRECEDING)",
    "SELECT 1 FROM spans ARRAY JOIN [file('{secret}')] AS x",
    "SELECT 1 FROM spans AS a JOIN spans AS b ON file('{secret}') = a.trace_id",
    "SELECT 1 FROM spans GROUP BY file('{secret}')",
    "SELECT count() FILTER (WHERE file('{secret}') = '') FROM spans",
    "SELECT 1 IN (SELECT file('{secret}'))",
    "SELECT if(0, file('{secret}'), '')",
    "SELECT 1 UNION ALL SELECT file('{secret}')",
    "SELECT 1 SETTINGS additional_result_filter = 'file(\\'{secret}\\') = \\'\\''",
    "SELECT 1 FROM spans SETTINGS additional_table_filters = {{'spans': 'file(''{secret}'')=''a'''}}",
    "SELECT 1 FROM (SELECT 1 SETTINGS additional_result_filter = '1')",
    "SHOW TABLES WHERE file('{secret}') != ''",
    "SHOW TABLES WHERE throwIf(file('{secret}') != '', 'read')",
    "SHOW TABLES LIMIT length(file('{secret}'))",
    "SHOW DATABASES WHERE file('{secret}') != ''",
    "SHOW DICTIONARIES WHERE file('{secret}') != ''",
    "SHOW COLUMNS FROM spans WHERE file('{secret}') != ''",
    "SHOW INDEXES FROM spans WHERE file('{secret}') != ''",
    "SELECT quantile(length(file('{secret}')))(v) FROM spans",
    "SELECT * APPLY quantiles(length(file('{secret}'))) FROM (SELECT 1)",
    "SELECT DISTINCT ON (file('{secret}')) v FROM spans",
    "SELECT v FROM spans LIMIT 1 OFFSET length(file('{secret}'))",
    "SELECT count() FROM spans GROUP BY GROUPING SETS ((file('{secret}')), ())",
    "SELECT number AS n, n AS m FROM numbers(3) ORDER BY n WITH FILL TO 9"
    " INTERPOLATE (m AS length(file('{secret}')))",
    "SELECT number FROM numbers(3) ORDER BY number WITH FILL TO 9 STEP length(file('{secret}'))",
    "SELECT CASE 1 WHEN length(file('{secret}')) THEN 2 END",
    "SELECT file('{secret}')::String, CAST(file('{secret}') AS String)",
    "SELECT INTERVAL length(file('{secret}')) DAY",
    "SELECT {{'a': file('{secret}')}}, [file('{secret}')][1], (file('{secret}'), 1).1",
    "SELECT EXTRACT(DAY FROM toDate(file('{secret}')))",
    "SELECT * FROM numbers(length(file('{secret}')))",
    "SELECT * FROM numbers((SELECT length(file('{secret}'))))",
    "SELECT * FROM values('a String', file('{secret}'))",
    "SELECT * FROM by_cost(least = length(file('{secret}')))",
    "SELECT * FROM spans AS a JOIN spans AS b ON a.v = b.v AND file('{secret}') = ''",
    "WITH x AS (SELECT 1) SELECT * FROM x WHERE EXISTS (SELECT file('{secret}'))",
    "SELECT 1 FORMAT `TSV; SELECT file('{secret}') INTO OUTFILE '{stolen}'`",
    "SELECT 1 FORMAT `TSV INTO OUTFILE '{stolen}'`",
    'SELECT 1 FORMAT "TSV SETTINGS max_threads = 1; DROP TABLE spans"',
    "DESCRIBE spans FORMAT `TSV; SELECT 1 INTO OUTFILE '{stolen}'`",
    "SELECT * FROM file('{secret}')",
    "SELECT * FROM `file`('{secret}', 'LineAsString')",
    "SELECT * FROM view(SELECT * FROM file('{secret}'))",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM file('{secret}')))",
    "DESCRIBE TABLE file('{secret}')",
    "DESCRIBE file('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM `{secret}`",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM default.`{secret}`",
    "SELECT 1 IN `{secret}`",
    "DESCRIBE TABLE `{secret}`",
    "EXISTS TABLE `{secret}`",
    "SHOW CREATE TABLE `{secret}`",
    "WITH `{secret}` AS (SELECT 1) SELECT * FROM `{secret}`",
    "SELECT * FROM url('http://127.0.0.1:1/', 'TSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'TSV', 'a String')",
    "SELECT * FROM gcs('http://127.0.0.1:1/b/k', 'TSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM clusterAllReplicas('default', system.one)",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'd', 't', 'u', 'p', 'a Int8')",
    "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')",
    "SELECT * FROM sqlite('{secret}', 't')",
    "SELECT * FROM jdbc('x', 'y')",
    "SELECT * FROM odbc('x', 'y')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'TSV', 'a String')",
    "SELECT * FROM azureBlobStorage('x', 'y', 'z')",
    "SELECT * FROM iceberg('http://127.0.0.1:1/')",
    "SELECT * FROM icebergLocal('{secret}')",
    "SELECT * FROM deltaLake('http://127.0.0.1:1/')",
    "SELECT * FROM deltaLakeLocal('{secret}')",
    "SELECT * FROM executable('cat {secret}', 'TSV', 'a String')",
    "SELECT * FROM python('x')",
    "SELECT * FROM Python(os)",
    "SELECT * FROM input('a String')",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM format(LineAsString, 'x')",
    "SELECT * FROM loop(numbers(1))",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM merge('.*', 'spans')",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))",
    "SELECT * FROM (EXPLAIN SELECT 1)",
    "SELECT * FROM fuzzQuery('SELECT 1')",
    "SELECT * FROM mergeTreeIndex('default', 'spans')",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'd', 't', 'u', 'p') PARTITION BY v",
    "SELECT aiGenerate('x', 'y')",
    "SELECT AIGENERATE('x', 'y')",
    "SELECT reverseDNSQuery('127.0.0.1')",
    "SELECT hasColumnInTable('127.0.0.1:1', 'u', 'p', 'd', 't', 'c')",
    "SELECT catboostEvaluate('{secret}', 1)",
    "SELECT naiveBayesClassifier('x', 'y')",
    "SELECT regionToName(1)",
    "SELECT filesystemAvailable()",
    "SELECT getMacro('x'), getServerSetting('max_connections')",
    "SELECT addressToLine(1)",
    "SELECT showCertificate()",
    "SELECT sleep(1)",
    "SELECT sleepEachRow(1) FROM numbers(9)",
    "SELECT __getScalar('x')",
    "SELECT initializeAggregation('file', '{secret}')",
    "SELECT arrayReduce('file', ['{secret}'])",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.`processes`",
    "SELECT * FROM `system`.processes",
    "SELECT 1 IN system.processes",
    "SELECT 1 NOT IN (system.processes)",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM system.users",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.stack_trace",
    "SELECT * FROM system.remote_data_paths",
    "SELECT * FROM system.tables",
    "SELECT t.* FROM system.tables AS t",
    "SELECT COLUMNS('.*') FROM system.databases",
    "SELECT data_paths FROM system.tables",
    "SELECT t.metadata_path AS x FROM system.tables AS t",
    "SELECT name FROM system.parts WHERE path LIKE '/%'",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW ACCESS",
    "SHOW CREATE USER default",
    "DESCRIBE FILESYSTEM CACHE 'x'",
]


@pytest.fixture(scope="module")
def client(door: Door) -> DoorClient:
    return DoorClient(door.url)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outside") / "secret.csv"
    path.write_text("hush\n")
    return path


def attack(client: DoorClient, statement: str, secret: Path) -> StoreError:
    """Run a statement that must fail, and see that it neither read nor wrote a file."""
    stolen = secret.with_name("stolen")
    with pytest.raises(StoreError) as caught:
        client.query(statement.format(secret=secret, stolen=stolen), format="TSV")
    assert "hush" not in str(caught.value)
    assert not stolen.exists()
    return caught.value


@pytest.mark.parametrize("statement", READS)
def test_reads_pass(client: DoorClient, statement: str) -> None:
    client.query(statement)


@pytest.mark.parametrize("statement", WRITES)
def test_other_statements_are_refused(client: DoorClient, statement: str, secret: Path) -> None:
    assert attack(client, statement, secret).code in {62, 164, 497}
    assert client.query("SELECT count(), min(trace_id) FROM spans", format="TSV") == b"2\ta\n"


@pytest.mark.parametrize("statement", REACHES)
def test_ways_out_are_refused(client: DoorClient, statement: str, secret: Path) -> None:
    attack(client, statement, secret)


def listed(store: Any, statement: str) -> list[str]:
    return str(store.engine.query(statement, format="TSV").decode()).split()


def test_each_of_the_engines_table_functions_is_refused_unless_listed(
    client: DoorClient, store: Any
) -> None:
    names = listed(store, "SELECT name FROM system.table_functions")
    assert len(names) > 90
    for name in {name for name in names if name.lower() not in TABLE_FUNCTIONS}:
        for statement in (f"SELECT * FROM `{name}`()", f"DESCRIBE TABLE `{name}`('x', 'y')"):
            with pytest.raises(StoreError) as caught:
                client.query(statement)
            assert caught.value.code == 497 or name in {"view", "viewIfPermitted"}, statement


def test_each_of_the_systems_tables_is_refused_unless_listed(
    client: DoorClient, store: Any
) -> None:
    names = listed(store, "SELECT name FROM system.tables WHERE database = 'system'")
    assert len(names) > 90
    for name in set(names) - SYSTEM_TABLES:
        with pytest.raises(StoreError) as caught:
            client.query(f"SELECT 1 FROM system.{name}")
        assert caught.value.code == 497, name


def test_functions_that_reach_out_are_refused_in_every_casing(
    client: DoorClient, store: Any
) -> None:
    names = listed(
        store,
        "SELECT name FROM system.functions WHERE match(lower(name), '^(file|ai|region|catboost|"
        "naive|address|sleep|__get|reversedns|filesystem|getmacro|getserver|evalml|showcert)')"
        " OR categories IN ('AI', 'Embedded Dictionary')",
    )
    assert len(names) > 30
    for name in {*names, *map(str.upper, names), *map(str.lower, names)}:
        with pytest.raises(StoreError) as caught:
            client.query(f"SELECT {name}(1)")
        assert caught.value.code == 497, name


def test_function_made_by_sql_appears(client: DoorClient, store: Any) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        client.query("SELECT twice(1)")
    store.engine.query("CREATE FUNCTION twice AS (a) -> a * 2", format="Null")
    assert client.query("SELECT twice(21)", format="TSV") == b"42\n"


def test_many_ids_fit_into_one_statement(client: DoorClient) -> None:
    ids = ", ".join(f"'{number:032x}'" for number in range(20_000))
    statement = f"SELECT count() FROM spans WHERE trace_id IN ({ids})"
    assert client.query(statement, format="TSV") == b"0\n"

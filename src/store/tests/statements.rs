//! The listed statements, and what the schema promises about them.

use std::collections::BTreeSet;

use sqlx::{
    Column as _, Either, Executor as _, PgConnection, Row as _, SqlSafeStr as _, SqliteConnection,
    Statement,
};

use super::fixture::{Opened, on_both};
use crate::model::{EndReason, JobPriority, JobStateKind, RecordName, WorkloadState};
use crate::store::bulk::SIZES;
use crate::store::connection::{BEGIN_SNAPSHOT, Kind};
use crate::store::statement::{self as sql, BULK, POSTGRES_ONLY, SINGLE};

/// How many parameters a prepared statement has, and what its columns are called.
fn shape<S: Statement>(prepared: &S) -> (usize, Vec<String>) {
    let parameters = match prepared.parameters() {
        Some(Either::Left(types)) => types.len(),
        Some(Either::Right(many)) => many,
        None => 0,
    };
    let columns = prepared.columns().iter().map(|column| column.name().to_owned());
    (parameters, columns.collect())
}

#[tokio::test]
async fn every_listed_statement_has_the_same_shape_on_both_databases() {
    let (mut one, mut other) = (Opened::new(Kind::Sqlite).await, Opened::new(Kind::Postgres).await);
    let (sqlite, postgres) = (one.sqlite(), other.postgres());
    for statement in SINGLE {
        let name = statement.name;
        let there = sqlite.prepare(statement.text(Kind::Sqlite).into_sql_str()).await;
        let there = there.unwrap_or_else(|error| panic!("{name} on SQLite: {error}"));
        let here = postgres.prepare(statement.text(Kind::Postgres).into_sql_str()).await;
        let here = here.unwrap_or_else(|error| panic!("{name} on PostgreSQL: {error}"));
        assert_eq!(shape(&there), shape(&here), "{name}");
    }
    for statement in POSTGRES_ONLY {
        let prepared = postgres.prepare(statement.text(Kind::Postgres).into_sql_str()).await;
        assert!(prepared.is_ok(), "{}: {:?}", statement.name, prepared.err());
    }
    for bulk in BULK {
        let here = postgres.prepare(bulk.unnest().into_sql_str()).await;
        let here = here.unwrap_or_else(|error| panic!("{} on PostgreSQL: {error}", bulk.name));
        let (parameters, columns) = shape(&here);
        assert_eq!(parameters, bulk.columns(), "{}", bulk.name);
        for (size, rows) in SIZES.iter().enumerate() {
            let there = sqlite.prepare(bulk.values(size).into_sql_str()).await;
            let there = there.unwrap_or_else(|error| panic!("{} on SQLite: {error}", bulk.name));
            assert_eq!(shape(&there), (rows * parameters, columns.clone()), "{}", bulk.name);
        }
    }
}

#[test]
fn every_statement_file_is_listed_and_says_why_it_is_safe() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql");
    let files = |below: &'static str| {
        let entries = std::fs::read_dir(format!("{folder}/{below}")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files = names.filter(|name| name.ends_with(".sql"));
        files.map(move |name| format!("{below}{name}")).collect::<BTreeSet<String>>()
    };
    let text = |file: &String| std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
    let listed = SINGLE.iter().map(|sql| sql.name).chain(BULK.iter().map(|bulk| bulk.name));
    let listed: BTreeSet<_> = listed.map(|name| format!("{name}.sql")).collect();
    let (shared, own) = (files(""), files("postgres/"));
    assert_eq!(listed, shared);
    let both = SINGLE.iter().map(|sql| (sql.text(Kind::Sqlite), sql.text(Kind::Postgres)));
    let two = both.filter(|(sqlite, postgres)| sqlite != postgres).map(|(_, postgres)| postgres);
    let bulk = BULK.iter().filter(|bulk| bulk.has_two_texts()).map(|bulk| bulk.template());
    let only = POSTGRES_ONLY.iter().map(|sql| sql.text(Kind::Postgres));
    let used: BTreeSet<_> = two.chain(bulk).chain(only).map(str::to_owned).collect();
    assert_eq!(used, own.iter().map(text).collect());
    for file in shared.iter().chain(&own) {
        let text = text(file);
        let comment: String = text.lines().take_while(|line| line.starts_with("-- ")).collect();
        assert!(comment.contains("Safe: "), "{file}");
    }
}

async fn a_hot_table_and_its_done_table_have_the_same_columns(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut columns = Vec::new();
    for table in ["job", "job_done", "workload", "workload_done"] {
        columns.push(opened.columns_of(table).await);
    }
    assert!(columns.iter().all(|columns| columns.len() > 10));
    assert_eq!(columns[0], columns[1]);
    assert_eq!(columns[2], columns[3]);
}

#[tokio::test]
async fn the_databases_have_the_same_tables() {
    let (mut one, mut other) = (Opened::new(Kind::Sqlite).await, Opened::new(Kind::Postgres).await);
    let sqlite = one
        .texts("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")
        .await;
    let mut tables = other
        .texts(
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = current_schema() ORDER BY 1",
        )
        .await;
    let own = ["body", "instance", "job_log", "job_log_chunk", "leadership"];
    tables.retain(|table| !own.contains(&table.as_str()));
    let sqlite = sqlite.into_iter().filter(|table| table != "sqlite_sequence");
    let sqlite: BTreeSet<_> = sqlite.collect();
    assert_eq!(sqlite, tables.iter().cloned().collect());
    for table in tables.iter().filter(|table| !table.starts_with('_')) {
        let name = |(name, _): (String, String)| name;
        let there: Vec<_> = one.columns_of(table).await.into_iter().map(name).collect();
        let here: Vec<_> = other.columns_of(table).await.into_iter().map(name).collect();
        assert_eq!(there, here, "{table}");
    }
}

#[tokio::test]
async fn a_batch_never_scans_a_table_on_postgresql_however_young_it_is() {
    let mut opened = Opened::new(Kind::Postgres).await;
    let connection = opened.postgres();
    for bulk in BULK {
        let plan = plan_on_postgres(connection, bulk.unnest(), bulk.columns()).await;
        assert!(!plan.contains("Seq Scan"), "{}: {plan}", bulk.name);
    }
}

#[tokio::test]
async fn what_a_job_starts_with_is_planned_once_and_found_by_key() {
    let mut opened = Opened::new(Kind::Postgres).await;
    let connection = opened.postgres();
    sqlx::raw_sql(BEGIN_SNAPSHOT.postgres).execute(&mut *connection).await.unwrap();
    let by_id = [sql::JOB_SELECT, sql::JOB_SPEC_SELECT, sql::WORKLOAD_SELECT, sql::DELIVERY_SELECT];
    let by_id = by_id.into_iter().map(|sql| (sql, 1));
    let others = [(sql::EDGE_NEEDS, 2), (sql::ATTEMPT_OUTPUTS, 1)];
    for (sql, values) in by_id.chain(others) {
        let plan = plan_on_postgres(connection, sql.text(Kind::Postgres), values).await;
        assert!(!plan.contains("Seq Scan"), "{}: {plan}", sql.name);
        // A plan that names its parameters is not of this one call.
        assert!(plan.contains("$1"), "{}: {plan}", sql.name);
    }
}

async fn plan_on_postgres(connection: &mut PgConnection, text: &str, values: usize) -> String {
    let prepare = format!("DEALLOCATE ALL; PREPARE it AS {text}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let nothing = vec!["NULL"; values].join(",");
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN VERBOSE EXECUTE it({nothing})"));
    let rows = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    plan.join("\n")
}

#[tokio::test]
async fn writes_and_reads_of_single_things_never_scan_a_table() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    let connection = opened.sqlite();
    let writes = BULK.iter().map(|bulk| (bulk.name, bulk.values(2)));
    let reads = SINGLE.iter().map(|sql| (sql.name, sql.text(Kind::Sqlite)));
    for (name, text) in writes.chain(reads) {
        // A load scans what is live, a list by state may pass over live rows of other states.
        if name.ends_with("_load") || name.ends_with("_list_by_state") {
            continue;
        }
        for step in plan(connection, text).await {
            let small = step.contains("VALUES CLAUSE")
                || step.contains("CONSTANT ROW")
                || step.contains("json_each");
            let rows = ["SCAN new", "SCAN want", "SCAN (subquery"];
            let allowed = small || rows.iter().any(|rows| step.starts_with(rows));
            assert!(allowed || !step.starts_with("SCAN"), "{name}: {step}");
            assert!(
                !step.contains("USE TEMP B-TREE FOR ORDER BY") || name.contains("outputs"),
                "{name}: {step}"
            );
        }
    }
}

async fn plan(connection: &mut SqliteConnection, text: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

async fn the_readable_views_name_what_the_program_names(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut texts = Vec::new();
    for view in ["job_readable", "workload_readable", "record_readable"] {
        // PostgreSQL adds the type of each number and text.
        texts.push(opened.text_of_view(view).await.replace("::bigint", "").replace("::text", ""));
    }
    let when = |code: i64, name: &str| format!("WHEN {code} THEN '{name}'");
    for state in JobStateKind::ALL {
        assert!(texts[0].contains(&when(state as i64, state.as_str())), "{state}");
    }
    for reason in (0..).map_while(EndReason::from_code) {
        let name = serde_json::to_value(reason).unwrap();
        assert!(texts[0].contains(&when(reason as i64, name.as_str().unwrap())), "{name}");
    }
    for priority in JobPriority::ALL {
        assert!(texts[0].contains(&when(priority as i64, priority.as_str())), "{priority}");
    }
    for state in (0..).map_while(WorkloadState::from_code) {
        assert!(texts[1].contains(&when(state as i64, state.as_str())), "{}", state.as_str());
    }
    for &name in RecordName::ALL.iter().filter(|name| name.is_kept()) {
        assert!(texts[2].contains(&when(name as i64, name.as_str())), "{}", name.as_str());
    }
}

#[tokio::test]
async fn the_readable_views_can_be_read_on_postgresql() {
    let mut opened = Opened::new(Kind::Postgres).await;
    opened.raw("SELECT * FROM job_readable; SELECT * FROM attempt_readable").await;
    opened.raw("SELECT * FROM workload_readable; SELECT * FROM delivery_readable").await;
    opened.raw("SELECT * FROM record_readable").await;
}

on_both!(
    a_hot_table_and_its_done_table_have_the_same_columns,
    the_readable_views_name_what_the_program_names,
);

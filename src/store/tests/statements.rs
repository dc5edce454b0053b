//! The listed statements, and what the schema promises about them.

use sqlx::{Executor as _, Row as _, SqlSafeStr as _, SqliteConnection, Statement as _};

use super::fixture::Opened;
use crate::model::{JobPriority, JobStateKind, RecordName, WorkloadState};
use crate::store::bulk::SIZES;
use crate::store::statement::{BULK, SINGLE};

#[tokio::test]
async fn every_listed_statement_prepares() {
    let mut opened = Opened::new().await;
    let connection = opened.writer.connection.as_mut().unwrap();
    for statement in SINGLE {
        let prepared = connection.prepare(statement.text().into_sql_str()).await;
        assert!(prepared.is_ok(), "{}: {:?}", statement.name, prepared.err());
    }
    for bulk in BULK {
        for (size, rows) in SIZES.iter().enumerate() {
            let prepared = connection.prepare(bulk.text(size).into_sql_str()).await;
            let prepared = prepared.unwrap_or_else(|error| panic!("{}: {error}", bulk.name));
            let Some(sqlx::Either::Right(parameters)) = prepared.parameters() else {
                panic!("{}: no parameters", bulk.name);
            };
            assert_eq!(parameters, rows * bulk.columns(), "{}", bulk.name);
        }
    }
}

#[test]
fn every_statement_file_is_listed_and_says_why_it_is_safe() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql");
    let listed = SINGLE.iter().map(|sql| sql.name).chain(BULK.iter().map(|bulk| bulk.name));
    let mut listed: Vec<String> = listed.map(|name| format!("{name}.sql")).collect();
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    listed.sort();
    files.sort();
    assert_eq!(listed, files);
    for file in files {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let comment: String = text.lines().take_while(|line| line.starts_with("-- ")).collect();
        assert!(comment.contains("Safe: "), "{file}");
    }
}

#[tokio::test]
async fn a_hot_table_and_its_done_table_have_the_same_columns() {
    let mut opened = Opened::new().await;
    let connection = opened.writer.connection.as_mut().unwrap();
    let mut columns = Vec::new();
    for table in ["job", "job_done", "workload", "workload_done"] {
        let rows: Vec<(i64, String, String, i64, i64)> =
            sqlx::query_as("SELECT cid, name, type, \"notnull\", pk FROM pragma_table_info($1)")
                .bind(table)
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        columns.push(rows);
    }
    assert_eq!(columns[0], columns[1]);
    assert_eq!(columns[2], columns[3]);
}

#[tokio::test]
async fn writes_and_reads_of_single_things_never_scan_a_table() {
    let mut opened = Opened::new().await;
    let connection = opened.writer.connection.as_mut().unwrap();
    let writes = BULK.iter().map(|bulk| (bulk.name, bulk.text(2)));
    let reads = SINGLE.iter().map(|sql| (sql.name, sql.text()));
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
                !step.contains("USE TEMP B-TREE FOR ORDER BY")
                    || name.contains("outputs")
                    || name.contains("need_names"),
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

#[tokio::test]
async fn the_readable_views_name_what_the_program_names() {
    let mut opened = Opened::new().await;
    let connection = opened.writer.connection.as_mut().unwrap();
    let mut texts = Vec::new();
    for view in ["job_readable", "workload_readable", "record_readable"] {
        let text: String = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = $1")
            .bind(view)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        texts.push(text);
    }
    let when = |code: i64, name: &str| format!("WHEN {code} THEN '{name}'");
    for state in JobStateKind::ALL {
        assert!(texts[0].contains(&when(state as i64, state.as_str())), "{state}");
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

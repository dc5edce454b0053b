//! Job logs as rows.

use super::fixture::{Home, Opened};
use crate::model::JobId;
use crate::store::connection::Kind;
use crate::store::{LogRow, Store};

const JOB: JobId = JobId(7);

fn row(bytes: u64, sealed: bool) -> LogRow {
    LogRow { kept_bytes: bytes, log_bytes: bytes, sealed }
}

#[tokio::test]
async fn many_small_pieces_are_few_chunks_and_read_as_one_log() {
    let mut opened = Opened::new(Kind::Postgres).await;
    let rows = opened.store.log_rows().unwrap();
    let mut whole = Vec::new();
    for piece in 0..400_u32 {
        let bytes = format!("\0{piece:>98}\n").into_bytes();
        let (from, to) = (whole.len() as u64, (whole.len() + bytes.len()) as u64);
        assert!(rows.append((JOB, 1), from, to, &bytes).await.unwrap());
        whole.extend_from_slice(&bytes);
    }
    let large = vec![b'x'; 100_000];
    let from = whole.len() as u64;
    assert!(rows.append((JOB, 1), from, from + 100_000, &large).await.unwrap());
    whole.extend_from_slice(&large);
    let chunks = "SELECT count(*)::text FROM job_log_chunk WHERE job_id = 7";
    assert_eq!(opened.texts(chunks).await, ["6"]);

    let end = Some(row(whole.len() as u64, false));
    for (offset, bytes_max) in [
        (0, 1),
        (0, 8_100),
        (8_099, 2),
        (8_100, 8_100),
        (20_000, 50_000),
        (39_999, 10),
        (0, 1 << 20),
    ] {
        let (bytes, log) = rows.read(JOB, 1, offset, bytes_max).await.unwrap();
        let from = usize::try_from(offset).unwrap();
        let to = whole.len().min(from + usize::try_from(bytes_max).unwrap());
        assert!(bytes == whole[from..to], "{bytes_max} from {offset}");
        assert_eq!(log, end);
    }
    for offset in [whole.len() as u64, u64::MAX] {
        assert_eq!(rows.read(JOB, 1, offset, u64::MAX).await.unwrap(), (Vec::new(), end));
    }
    assert_eq!(rows.read(JOB, 2, 0, 10).await.unwrap(), (Vec::new(), None));
}

#[tokio::test]
async fn bytes_are_added_only_where_the_log_ends_and_not_to_a_sealed_one() {
    let opened = Opened::new(Kind::Postgres).await;
    let rows = opened.store.log_rows().unwrap();
    assert!(!rows.append((JOB, 1), 3, 6, b"def").await.unwrap(), "there is no such log");
    assert_eq!(rows.load(JOB, 1).await.unwrap(), None);
    assert!(rows.append((JOB, 1), 0, 3, b"abc").await.unwrap());
    for (at, kept) in [(0, 3), (2, 5), (4, 7)] {
        assert!(!rows.append((JOB, 1), at, kept, b"xyz").await.unwrap());
    }
    let one = rows.append((JOB, 1), 3, 4, b"d");
    let other = rows.append((JOB, 1), 3, 4, b"D");
    let (one, other) = tokio::join!(one, other);
    assert!(one.unwrap() != other.unwrap(), "one of two adds");
    // Cut after what was kept.
    assert!(rows.append((JOB, 1), 4, 4, b"...").await.unwrap());
    let end = LogRow { kept_bytes: 4, log_bytes: 7, sealed: true };
    assert_eq!(rows.seal(JOB, 1).await.unwrap(), end);
    assert_eq!(rows.seal(JOB, 1).await.unwrap(), end);
    assert!(!rows.append((JOB, 1), 7, 8, b"h").await.unwrap());
    // An empty one that is sealed is not begun.
    assert_eq!(rows.seal(JOB, 2).await.unwrap(), row(0, true));
    assert!(!rows.append((JOB, 2), 0, 1, b"a").await.unwrap());
}

#[tokio::test]
async fn a_log_that_is_removed_in_part_is_not_read_askew_and_is_found_again() {
    let mut opened = Opened::new(Kind::Postgres).await;
    let rows = opened.store.log_rows().unwrap();
    opened
        .raw(
            "INSERT INTO job_log SELECT 7, 1, 24000, 24000, 23980, 0;
             INSERT INTO job_log_chunk
             SELECT 7, 1, at * 20, repeat('x', 20)::bytea FROM generate_series(0, 1199) AS it (at);
             INSERT INTO job_log_chunk VALUES (8, 1, 0, 'other');
             DELETE FROM job_log_chunk WHERE chunk_offset = 40",
        )
        .await;
    let end = Some(row(24_000, false));
    assert_eq!(rows.read(JOB, 1, 0, 100).await.unwrap(), (vec![b'x'; 40], end));
    assert_eq!(rows.read(JOB, 1, 40, 100).await.unwrap(), (Vec::new(), end));
    assert_eq!(rows.jobs_before(i64::MAX).await.unwrap(), [JOB]);
    rows.remove(&[JobId(6), JOB]).await.unwrap();
    assert_eq!(rows.load(JOB, 1).await.unwrap(), None);
    let left = "SELECT job_id::text FROM job_log_chunk";
    assert_eq!(opened.texts(left).await, ["8"], "more chunks than go at once, and no other job's");
    assert_eq!(rows.jobs_before(i64::MAX).await.unwrap(), []);
}

#[tokio::test]
async fn a_call_about_a_log_finds_its_rows_by_key_however_young_the_tables_are() {
    let mut opened = Opened::new(Kind::Postgres).await;
    let connection = opened.postgres();
    for statement in crate::store::statement::POSTGRES_ONLY {
        if !statement.name.starts_with("job_log") {
            continue;
        }
        let text = statement.text(Kind::Postgres);
        let prepare = format!("DEALLOCATE ALL; PREPARE it AS {text}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
        let nothing = vec!["NULL"; (1..=9).filter(|at| text.contains(&format!("${at}"))).count()];
        let explain = format!("EXPLAIN EXECUTE it({})", nothing.join(","));
        let plan: Vec<String> = sqlx::raw_sql(sqlx::AssertSqlSafe(explain))
            .fetch_all(&mut *connection)
            .await
            .unwrap()
            .iter()
            .map(|row| sqlx::Row::get(row, 0))
            .collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{}: {plan}", statement.name);
    }
}

#[tokio::test]
async fn beside_a_sqlite_file_logs_are_no_rows() {
    let home = Home::of(Kind::Sqlite).await;
    let (store, _writer) = Store::open(home.options()).await.unwrap();
    assert!(store.log_rows().is_none());
}

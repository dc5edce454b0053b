//! Logs as their callers see them, on real files.

use std::time::Duration;

use futures_util::StreamExt as _;
use proptest::prelude::*;

use super::*;
use crate::log::marker;

const JOB: JobId = JobId(7);

/// Long enough for any machine; only a failing test waits for it.
const BOUND: Duration = Duration::from_secs(20);

fn limits(log_bytes_max: u64) -> LogLimits {
    LogLimits { log_bytes_max, open_files_max: 2, follow_poll_ms: 60_000 }
}

fn logs_with(limits: LogLimits) -> (tempfile::TempDir, JobLogs) {
    let folder = tempfile::tempdir().unwrap();
    let logs = JobLogs::open(folder.path().join("logs"), limits).unwrap();
    (folder, logs)
}

/// A second server on the same folder: nothing of the first one's memory.
fn restarted(logs: &JobLogs) -> JobLogs {
    JobLogs::open(&logs.0.folder, logs.limits()).unwrap()
}

async fn append(logs: &JobLogs, offset: u64, text: &str) -> Result<Appended, LogError> {
    logs.append(JOB, 1, offset, Bytes::copy_from_slice(text.as_bytes())).await
}

async fn page(logs: &JobLogs) -> LogPage {
    logs.read(JOB, 1, 0, u64::MAX).await.unwrap()
}

async fn text(logs: &JobLogs) -> String {
    String::from_utf8(page(logs).await.bytes.to_vec()).unwrap()
}

/// All that a follower hands out until the log is sealed.
async fn followed(logs: &JobLogs, offset: u64) -> Vec<u8> {
    let all = async {
        let mut stream = Box::pin(logs.follow(JOB, 1, offset));
        let (mut bytes, mut next) = (Vec::new(), offset);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.offset, next);
            next += chunk.bytes.len() as u64;
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    };
    tokio::time::timeout(BOUND, all).await.expect("the follower did not end")
}

#[tokio::test]
async fn bytes_that_are_there_are_skipped_and_new_ones_added() {
    let (_folder, logs) = logs_with(limits(100));
    for (offset, sent, next_offset) in
        [(0, "hello ", 6), (0, "hello ", 6), (0, "hello wor", 9), (6, "world", 11), (2, "l", 11)]
    {
        let appended = append(&logs, offset, sent).await.unwrap();
        assert_eq!(appended, Appended { next_offset, truncated: false }, "{sent} at {offset}");
    }
    assert_eq!(text(&logs).await, "hello world");
}

#[tokio::test]
async fn a_gap_is_refused_with_the_offset_to_go_on_from() {
    let (_folder, logs) = logs_with(limits(100));
    append(&logs, 0, "abc").await.unwrap();
    let error = append(&logs, 4, "e").await.unwrap_err();
    assert!(matches!(error, LogError::Gap { offset: 4, next_offset: 3 }), "{error}");
    assert_eq!(append(&logs, 3, "de").await.unwrap().next_offset, 5);
}

#[tokio::test]
async fn a_log_is_cut_in_the_middle_of_a_chunk_and_marked_once() {
    let (_folder, logs) = logs_with(limits(8));
    append(&logs, 0, "12345").await.unwrap();
    let cut = append(&logs, 5, "67890").await.unwrap();
    assert_eq!(cut, Appended { next_offset: 10, truncated: true });
    let dropped = append(&logs, 10, "more").await.unwrap();
    assert_eq!(dropped, Appended { next_offset: 14, truncated: true });
    // A repeated chunk over the edge, and one behind a gap: nobody misses those bytes.
    append(&logs, 5, "67890").await.unwrap();
    append(&logs, 1_000, "late").await.unwrap();
    assert_eq!(text(&logs).await, format!("12345678{}", marker::after(8)));
    assert!(page(&logs).await.truncated);
}

#[tokio::test]
async fn a_log_of_just_the_limit_is_whole() {
    let (_folder, logs) = logs_with(limits(8));
    let appended = append(&logs, 0, "12345678").await.unwrap();
    assert_eq!(appended, Appended { next_offset: 8, truncated: false });
    assert_eq!(text(&logs).await, "12345678");
    assert!(append(&logs, 8, "9").await.unwrap().truncated);
    assert_eq!(text(&logs).await, format!("12345678{}", marker::after(8)));
}

#[tokio::test]
async fn a_restarted_server_goes_on_where_the_file_ends() {
    let (_folder, logs) = logs_with(limits(8));
    append(&logs, 0, "1234").await.unwrap();
    let logs = restarted(&logs);
    assert!(matches!(append(&logs, 5, "6").await, Err(LogError::Gap { next_offset: 4, .. })));
    append(&logs, 2, "345678").await.unwrap();
    append(&logs, 8, "9").await.unwrap();
    let logs = restarted(&logs);
    assert!(append(&logs, 9, "0").await.unwrap().truncated);
    assert_eq!(text(&logs).await, format!("12345678{}", marker::after(8)));
}

#[tokio::test]
async fn a_truncated_log_stays_so_when_the_limit_is_raised() {
    let (_folder, logs) = logs_with(limits(4));
    append(&logs, 0, "12345").await.unwrap();
    let raised = JobLogs::open(&logs.0.folder, limits(100)).unwrap();
    assert!(append(&raised, 5, "6").await.unwrap().truncated);
    assert_eq!(text(&raised).await, format!("1234{}", marker::after(4)));
}

#[tokio::test]
async fn a_sealed_log_takes_nothing_new_also_after_a_restart() {
    let (_folder, logs) = logs_with(limits(100));
    append(&logs, 0, "abc").await.unwrap();
    assert_eq!(logs.seal(JOB, 1).await.unwrap(), 3);
    for logs in [logs.clone(), restarted(&logs)] {
        assert_eq!(logs.seal(JOB, 1).await.unwrap(), 3);
        assert_eq!(append(&logs, 0, "abc").await.unwrap().next_offset, 3);
        let error = append(&logs, 3, "d").await.unwrap_err();
        assert!(matches!(error, LogError::Sealed { next_offset: 3 }), "{error}");
        assert!(page(&logs).await.sealed);
        assert_eq!(followed(&logs, 0).await, b"abc");
    }
}

#[tokio::test]
async fn a_part_is_read_by_offset_and_length() {
    let (_folder, logs) = logs_with(limits(100));
    assert_eq!(page(&logs).await.log_bytes, 0);
    append(&logs, 0, "0123456789").await.unwrap();
    for (offset, bytes_max, part) in [(0, 3, "012"), (8, 9, "89"), (10, 1, ""), (99, 1, "")] {
        let page = logs.read(JOB, 1, offset, bytes_max).await.unwrap();
        assert_eq!(page.bytes, part);
        assert_eq!(page.log_bytes, 10);
    }
}

#[tokio::test]
async fn attempts_and_jobs_have_logs_of_their_own() {
    let (folder, logs) = logs_with(limits(100));
    for (job, attempt) in [(1, 1), (1, 2), (2, 1)] {
        let bytes = Bytes::from(format!("{job}-{attempt}"));
        logs.append(JobId(job), attempt, 0, bytes).await.unwrap();
    }
    let read = std::fs::read_to_string(folder.path().join("logs/1/2.log")).unwrap();
    assert_eq!(read, "1-2");
}

#[tokio::test]
async fn a_follower_of_a_log_without_a_byte_ends_when_it_is_sealed() {
    let (_folder, logs) = logs_with(limits(100));
    let (bytes, sealed) = tokio::join!(followed(&logs, 0), logs.seal(JOB, 1));
    assert_eq!((bytes, sealed.unwrap()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_follower_resumes_in_the_middle_and_behind_the_end() {
    let (_folder, logs) = logs_with(limits(100));
    append(&logs, 0, "0123").await.unwrap();
    let write = async {
        append(&logs, 4, "456789").await.unwrap();
        logs.seal(JOB, 1).await.unwrap();
    };
    let (middle, ahead, beyond, ()) =
        tokio::join!(followed(&logs, 2), followed(&logs, 7), followed(&logs, 50), write);
    assert_eq!((&*middle, &*ahead, &*beyond), (&b"23456789"[..], &b"789"[..], &b""[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_get_every_byte_while_writers_repeat_themselves() {
    let (_folder, logs) = logs_with(limits(1_000_000));
    let whole: Vec<u8> =
        (0..20_000_u32).flat_map(|line| format!("{line}\n").into_bytes()).collect();
    let followers: Vec<_> = [0, 1, 70_000]
        .map(|offset| {
            let logs = logs.clone();
            tokio::spawn(async move { (offset, followed(&logs, offset as u64).await) })
        })
        .into();
    // Two writers send the same bytes in chunks of different sizes; each waits for the other's
    // bytes only when it would leave a gap.
    let writers = [997, 4_099].map(|step| {
        let (logs, whole) = (logs.clone(), Bytes::from(whole.clone()));
        tokio::spawn(async move {
            let mut offset = 0;
            while offset < whole.len() {
                let chunk = whole.slice(offset..whole.len().min(offset + step));
                let appended = logs.append(JOB, 1, offset as u64, chunk).await.unwrap();
                offset = usize::try_from(appended.next_offset).unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(logs.seal(JOB, 1).await.unwrap(), whole.len() as u64);
    for follower in followers {
        let (offset, bytes) = follower.await.unwrap();
        assert!(bytes == whole[offset..], "the follower from {offset} got other bytes");
    }
}

#[tokio::test]
async fn a_follower_asks_the_file_when_nothing_wakes_it() {
    let polling = LogLimits { follow_poll_ms: 5, ..limits(100) };
    let (_folder, logs) = logs_with(polling);
    // Another process writes: it shares the files, and no memory.
    let other = restarted(&logs);
    let write = async {
        append(&other, 0, "from elsewhere").await.unwrap();
        other.seal(JOB, 1).await.unwrap();
    };
    let (bytes, ()) = tokio::join!(followed(&logs, 0), write);
    assert_eq!(bytes, b"from elsewhere");
}

#[tokio::test]
async fn an_append_whose_caller_left_is_finished_and_counted_once() {
    let (_folder, logs) = logs_with(limits(100));
    for _ in 0..20 {
        let mut call = Box::pin(append(&logs, 0, "abc"));
        // Begin it, and drop it wherever it stands.
        let _ = futures_util::poll!(&mut call);
        drop(call);
    }
    assert_eq!(append(&logs, 0, "abcd").await.unwrap().next_offset, 4);
    assert_eq!(text(&logs).await, "abcd");
}

#[tokio::test]
async fn memory_keeps_no_more_idle_attempts_than_its_limit() {
    let (_folder, logs) = logs_with(limits(100));
    let stream = logs.follow(JOB, 1, 0);
    for attempt in 2..3_000 {
        let _ = logs.attempt(JOB, attempt);
    }
    let attempts = logs.0.attempts.lock().unwrap();
    assert!(attempts.len() <= IDLE_ATTEMPTS_MAX);
    assert!(attempts.contains_key(&(JOB, 1)), "one with a follower stays");
    drop(attempts);
    drop(stream);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let (folder, logs) = logs_with(limits(100));
    std::fs::write(folder.path().join("logs/7"), "a file where a folder should be").unwrap();
    let error = append(&logs, 0, "abc").await.unwrap_err();
    assert!(error.is_temporary());
    assert!(error.to_string().contains("logs/7/1.log"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_log_is_the_first_bytes_of_what_was_sent_however_it_was_sent(
        whole in "[a-z\n]{0,60}",
        log_bytes_max in 0_u64..70,
        sends in proptest::collection::vec((0_usize..60, 0_usize..20, any::<bool>()), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, mut logs) = logs_with(limits(log_bytes_max));
            let (mut reached, mut truncated) = (0, false);
            for (offset, length, restart) in sends {
                let offset = offset.min(whole.len());
                let end = (offset + length).min(whole.len());
                match append(&logs, offset as u64, &whole[offset..end]).await {
                    Ok(appended) => {
                        reached = reached.max(end);
                        assert!(!truncated || appended.truncated, "a truncated log became whole");
                        truncated = appended.truncated;
                    }
                    Err(LogError::Gap { next_offset, .. }) => {
                        assert!(next_offset == reached as u64 && reached < offset);
                    }
                    Err(error) => panic!("{error}"),
                }
                if restart {
                    logs = restarted(&logs);
                }
            }
            let expected = if truncated {
                let kept = usize::try_from(log_bytes_max).unwrap();
                format!("{}{}", &whole[..kept], marker::after(log_bytes_max))
            } else {
                whole[..reached].to_owned()
            };
            assert_eq!(text(&logs).await, expected);
        });
    }
}

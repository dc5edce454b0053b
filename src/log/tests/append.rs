//! What is written, and read again.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::log::marker;

async fn bytes_that_are_there_are_skipped_and_new_ones_added(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    for (offset, sent, next_offset) in
        [(0, "hello ", 6), (0, "hello ", 6), (0, "hello wor", 9), (6, "world", 11), (2, "l", 11)]
    {
        let appended = append(&logs, offset, sent).await.unwrap();
        assert_eq!(appended, Appended { next_offset, truncated: false }, "{sent} at {offset}");
    }
    assert_eq!(text(&logs).await, "hello world");
}

async fn a_gap_is_refused_with_the_offset_to_go_on_from(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    append(&logs, 0, "abc").await.unwrap();
    let error = append(&logs, 4, "e").await.unwrap_err();
    assert!(matches!(error, LogError::Gap { offset: 4, next_offset: 3 }), "{error}");
    assert_eq!(append(&logs, 3, "de").await.unwrap().next_offset, 5);
}

async fn a_log_is_cut_in_the_middle_of_a_chunk_and_marked_once(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(8));
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

async fn a_log_of_just_the_limit_is_whole(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(8));
    let appended = append(&logs, 0, "12345678").await.unwrap();
    assert_eq!(appended, Appended { next_offset: 8, truncated: false });
    assert_eq!(text(&logs).await, "12345678");
    assert!(append(&logs, 8, "9").await.unwrap().truncated);
    assert_eq!(text(&logs).await, format!("12345678{}", marker::after(8)));
}

async fn a_restarted_server_goes_on_where_the_log_ends(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(8));
    append(&logs, 0, "1234").await.unwrap();
    let logs = restarted(&logs);
    assert!(matches!(append(&logs, 5, "6").await, Err(LogError::Gap { next_offset: 4, .. })));
    append(&logs, 2, "345678").await.unwrap();
    append(&logs, 8, "9").await.unwrap();
    let logs = restarted(&logs);
    assert!(append(&logs, 9, "0").await.unwrap().truncated);
    assert_eq!(text(&logs).await, format!("12345678{}", marker::after(8)));
}

async fn a_truncated_log_stays_so_when_the_limit_is_raised(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(4));
    append(&logs, 0, "12345").await.unwrap();
    let raised = home.logs(limits(100));
    assert!(append(&raised, 5, "6").await.unwrap().truncated);
    assert_eq!(text(&raised).await, format!("1234{}", marker::after(4)));
}

async fn a_sealed_log_takes_nothing_new_also_after_a_restart(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
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

async fn a_part_is_read_by_offset_and_length(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    assert_eq!(page(&logs).await.log_bytes, 0);
    append(&logs, 0, "0123456789").await.unwrap();
    for (offset, bytes_max, part) in [(0, 3, "012"), (8, 9, "89"), (10, 1, ""), (99, 1, "")] {
        let page = logs.read(JOB, 1, offset, bytes_max).await.unwrap();
        assert_eq!(page.bytes, part);
        assert_eq!(page.log_bytes, 10);
    }
}

async fn attempts_and_jobs_have_logs_of_their_own(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    let all = [(1, 1), (1, 2), (2, 1)];
    for (job, attempt) in all {
        let bytes = Bytes::from(format!("{job}-{attempt}"));
        logs.append(JobId(job), attempt, 0, bytes).await.unwrap();
    }
    for (job, attempt) in all {
        let page = restarted(&logs).read(JobId(job), attempt, 0, 100).await.unwrap();
        assert_eq!(page.bytes, format!("{job}-{attempt}"));
    }
    if on == On::Files {
        let read = std::fs::read_to_string(home.folder.path().join("logs/1/2.log")).unwrap();
        assert_eq!(read, "1-2");
    }
}

async fn an_append_whose_caller_left_is_finished_and_counted_once(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
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
async fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new(On::Files).await;
    let logs = home.logs(limits(100));
    std::fs::write(home.folder.path().join("logs/7"), "a file where a folder should be").unwrap();
    let error = append(&logs, 0, "abc").await.unwrap_err();
    assert!(error.is_temporary());
    assert!(error.to_string().contains("logs/7/1.log"), "{error}");
}

async fn what_is_no_text_is_kept_as_it_is(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    let bytes: &[u8] = b"\0nul \xff\xc3\x28 '\\x00\r\n";
    logs.append(JOB, 1, 0, Bytes::from_static(bytes)).await.unwrap();
    logs.append(JOB, 1, bytes.len() as u64, Bytes::from_static(b"\0")).await.unwrap();
    assert_eq!(page(&logs).await.bytes, [bytes, b"\0"].concat());
}

type Sends = Vec<(usize, usize, bool)>;

/// A log is the first bytes of what was sent, however it was sent.
async fn is_the_beginning_of_what_was_sent(
    home: &Home,
    job: JobId,
    (whole, log_bytes_max, sends): (String, u64, Sends),
) {
    let mut logs = home.logs(limits(log_bytes_max));
    let (mut reached, mut truncated) = (0, false);
    for (offset, length, restart) in sends {
        let offset = offset.min(whole.len());
        let end = (offset + length).min(whole.len());
        let bytes = Bytes::copy_from_slice(&whole.as_bytes()[offset..end]);
        match logs.append(job, 1, offset as u64, bytes).await {
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
    let page = logs.read(job, 1, 0, u64::MAX).await.unwrap();
    assert_eq!(page.bytes, expected);
}

#[test]
fn a_log_is_the_first_bytes_of_what_was_sent_however_it_was_sent() {
    let sends = proptest::collection::vec((0_usize..60, 0_usize..20, any::<bool>()), 0..20);
    let any_log = ("[a-z\n]{0,60}", 0_u64..70, sends);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for on in [On::Files, On::Rows] {
        let home = runtime.block_on(Home::new(on));
        let next = std::cell::Cell::new(0);
        let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
        let done = runner.run(&any_log, |log| {
            next.set(next.get() + 1);
            runtime.block_on(is_the_beginning_of_what_was_sent(&home, JobId(next.get()), log));
            Ok(())
        });
        done.unwrap_or_else(|error| panic!("{on:?}: {error}"));
    }
}

on_both!(
    bytes_that_are_there_are_skipped_and_new_ones_added,
    a_gap_is_refused_with_the_offset_to_go_on_from,
    a_log_is_cut_in_the_middle_of_a_chunk_and_marked_once,
    a_log_of_just_the_limit_is_whole,
    a_restarted_server_goes_on_where_the_log_ends,
    a_truncated_log_stays_so_when_the_limit_is_raised,
    a_sealed_log_takes_nothing_new_also_after_a_restart,
    a_part_is_read_by_offset_and_length,
    attempts_and_jobs_have_logs_of_their_own,
    an_append_whose_caller_left_is_finished_and_counted_once,
    what_is_no_text_is_kept_as_it_is,
);

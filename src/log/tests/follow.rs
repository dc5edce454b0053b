//! Logs that are followed, and logs that go away meanwhile.

use super::*;

async fn a_follower_of_a_log_without_a_byte_ends_when_it_is_sealed(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    let (bytes, sealed) = tokio::join!(followed(&logs, 0), logs.seal(JOB, 1));
    assert_eq!((bytes, sealed.unwrap()), (Vec::new(), 0));
}

async fn a_follower_resumes_in_the_middle_and_behind_the_end(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    append(&logs, 0, "0123").await.unwrap();
    let write = async {
        append(&logs, 4, "456789").await.unwrap();
        logs.seal(JOB, 1).await.unwrap();
    };
    let (middle, ahead, beyond, ()) =
        tokio::join!(followed(&logs, 2), followed(&logs, 7), followed(&logs, 50), write);
    assert_eq!((&*middle, &*ahead, &*beyond), (&b"23456789"[..], &b"789"[..], &b""[..]));
}

async fn followers_get_every_byte_while_writers_repeat_themselves(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(1_000_000));
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

async fn a_follower_looks_itself_when_nothing_wakes_it(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(polling());
    // Another process writes: it shares the place, and no memory.
    let other = restarted(&logs);
    let write = async {
        append(&other, 0, "from elsewhere").await.unwrap();
        other.seal(JOB, 1).await.unwrap();
    };
    let (bytes, ()) = tokio::join!(followed(&logs, 0), write);
    assert_eq!(bytes, b"from elsewhere");
}

async fn memory_keeps_no_more_idle_attempts_than_its_limit(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(limits(100));
    let stream = logs.follow(JOB, 1, 0);
    for attempt in 2..3_000 {
        let _ = logs.attempt((JOB, attempt));
    }
    let attempts = logs.0.attempts.lock().unwrap();
    assert!(attempts.len() <= IDLE_ATTEMPTS_MAX);
    assert!(attempts.contains_key(&(JOB, 1)), "one with a follower stays");
    drop(attempts);
    drop(stream);
}

async fn a_removed_log_is_empty_and_whoever_followed_it_ends(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(polling());
    append(&logs, 0, "gone").await.unwrap();
    logs.append(JobId(8), 1, 0, Bytes::from_static(b"stays")).await.unwrap();
    assert_eq!(logs.jobs_before(0).await.unwrap(), []);
    let mut before = logs.jobs_before(i64::MAX).await.unwrap();
    before.sort_unstable();
    assert_eq!(before, [JOB, JobId(8)]);

    let other = restarted(&logs);
    let mut here = Box::pin(logs.follow(JOB, 1, 0));
    let mut there = Box::pin(other.follow(JOB, 1, 0));
    for stream in [&mut here as &mut (dyn Stream<Item = _> + Unpin), &mut there] {
        assert_eq!(stream.next().await.unwrap().unwrap().bytes, "gone");
    }
    for jobs in [&[JOB, JobId(99)][..], &[JOB], &[]] {
        logs.remove(jobs).await.unwrap();
    }
    let ended = async { (here.next().await.is_none(), there.next().await.is_none()) };
    assert_eq!(tokio::time::timeout(BOUND, ended).await.unwrap(), (true, true));
    assert_eq!(page(&logs).await.log_bytes, 0);
    assert_eq!(logs.jobs_before(i64::MAX).await.unwrap(), [JobId(8)]);
    assert_eq!(logs.read(JobId(8), 1, 0, 100).await.unwrap().bytes, "stays");
}

async fn a_follower_that_has_not_read_all_of_a_removed_log_is_told(on: On) {
    let home = Home::new(on).await;
    let logs = home.logs(LogLimits { log_bytes_max: 1 << 20, ..polling() });
    let large = Bytes::from(vec![b'x'; 200_000]);
    logs.append(JOB, 1, 0, large).await.unwrap();
    let other = restarted(&logs);
    let mut here = Box::pin(logs.follow(JOB, 1, 0));
    let mut there = Box::pin(other.follow(JOB, 1, 0));
    for stream in [&mut here as &mut (dyn Stream<Item = _> + Unpin), &mut there] {
        assert!(stream.next().await.unwrap().unwrap().bytes.len() < 200_000);
    }
    logs.remove(&[JOB]).await.unwrap();
    for stream in [&mut here as &mut (dyn Stream<Item = _> + Unpin), &mut there] {
        let told = tokio::time::timeout(BOUND, stream.next()).await.unwrap();
        assert!(matches!(told, Some(Err(LogError::Removed { offset: 1.. }))), "{told:?}");
        assert!(stream.next().await.is_none());
    }
}

on_both!(
    a_follower_that_has_not_read_all_of_a_removed_log_is_told,
    a_follower_of_a_log_without_a_byte_ends_when_it_is_sealed,
    a_follower_resumes_in_the_middle_and_behind_the_end,
    followers_get_every_byte_while_writers_repeat_themselves,
    a_follower_looks_itself_when_nothing_wakes_it,
    memory_keeps_no_more_idle_attempts_than_its_limit,
    a_removed_log_is_empty_and_whoever_followed_it_ends,
);

//! Several instances on one log.

use super::*;

/// Two instances that both believe that they lead: one of them is mistaken, and spoils nothing.
#[tokio::test]
async fn an_instance_whose_memory_is_old_looks_again() {
    let home = Home::new(On::Rows).await;
    let old = home.logs(limits(100));
    let new = restarted(&old);
    append(&old, 0, "abc").await.unwrap();
    append(&new, 3, "def").await.unwrap();
    // It would miss three bytes, and would write over three.
    assert_eq!(append(&old, 6, "g").await.unwrap().next_offset, 7);
    append(&new, 7, "hi").await.unwrap();
    assert_eq!(append(&old, 5, "fghijk").await.unwrap().next_offset, 11);
    assert!(matches!(append(&new, 12, "m").await, Err(LogError::Gap { next_offset: 11, .. })));
    assert_eq!(new.seal(JOB, 1).await.unwrap(), 11);
    let late = append(&old, 11, "late").await;
    assert!(matches!(late, Err(LogError::Sealed { next_offset: 11 })), "{late:?}");
    assert_eq!(append(&old, 0, "abc").await.unwrap().next_offset, 11);
    assert_eq!(text(&restarted(&old)).await, "abcdefghijk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_instances_that_write_one_log_add_each_byte_once() {
    let home = Home::new(On::Rows).await;
    let whole: Vec<u8> = (0..2_000_u32).flat_map(|it| format!("{it}\n").into_bytes()).collect();
    let whole = Bytes::from(whole);
    let writers = [61, 97, 151].map(|step| {
        let (logs, whole) = (home.logs(limits(1_000_000)), whole.clone());
        tokio::spawn(async move {
            let mut offset = 0;
            while offset < whole.len() {
                let chunk = whole.slice(offset..whole.len().min(offset + step));
                offset = match logs.append(JOB, 1, offset as u64, chunk).await {
                    Ok(appended) => usize::try_from(appended.next_offset).unwrap(),
                    Err(error) => panic!("from {offset}: {error}"),
                };
            }
        })
    });
    let reader = home.logs(polling());
    let reading = tokio::spawn(async move { followed(&reader, 0).await });
    for writer in writers {
        writer.await.unwrap();
    }
    let logs = home.logs(limits(1_000_000));
    assert_eq!(logs.seal(JOB, 1).await.unwrap(), whole.len() as u64);
    assert!(reading.await.unwrap() == whole, "the follower got other bytes");
    assert!(page(&logs).await.bytes == whole, "it has other bytes");
}

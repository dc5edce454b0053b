//! Kills what an attempt left running: at its end, and when a runner finds the folders of a
//! predecessor that was killed.
//!
//! A pid may have been reused, so a group is killed only when one of its members is a recorded
//! process (pid and start time) or carries the attempt's marker; a process that left
//! its group is killed for the marker alone, through a handle that cannot change its meaning. What
//! wipes its environment *and* leaves its group is beyond reach: that takes a container.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use super::attempt_folder::{MARKER, ProcessRecord, read_record, remove};
use super::procfs::{self, Process};

/// Rounds of kill and look; a process that a round started is met by the next.
const ROUNDS_MAX: u32 = 250;
/// Between two rounds: the kernel tells nobody when the last member of a group is gone.
const ROUND: Duration = Duration::from_millis(20);

/// Kills and removes what is left in the folder of attempts.
pub(super) async fn clean(jobs: &Path, keep_workspaces: bool) {
    let Ok(entries) = std::fs::read_dir(jobs) else { return };
    for attempt in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if let Some(record) = read_record(&attempt) {
            tracing::warn!(folder = %attempt.display(), "cleaning up after a killed runner");
            kill(record).await;
            let _ = std::fs::remove_file(attempt.join("attempt.json"));
        }
        if !keep_workspaces && let Err(error) = remove(&attempt).await {
            tracing::warn!(folder = %attempt.display(), %error, "cannot remove an old folder");
        }
    }
}

/// Kills every process of the attempt that can be told for certain, and waits until it is gone.
pub(super) async fn kill(record: ProcessRecord) {
    if record.machine_boot != procfs::machine_boot() {
        return;
    }
    let key = record.key.clone();
    let record = std::sync::Arc::new(record);
    for _ in 0..ROUNDS_MAX {
        let record = std::sync::Arc::clone(&record);
        match tokio::task::spawn_blocking(move || kill_round(&record)).await {
            Ok(0) => return,
            _ => tokio::time::sleep(ROUND).await,
        }
    }
    tracing::warn!(attempt = key, "processes of an attempt do not go away");
}

/// Members of this group that still run.
pub(super) async fn members(group: i32) -> Vec<Process> {
    let look = move || {
        let mut alive = Process::all_alive();
        alive.retain(|process| process.group == group);
        alive
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Kills what there is; answers with how many were found alive.
fn kill_round(record: &ProcessRecord) -> usize {
    let marker = format!("{MARKER}={}", record.key);
    let alive = Process::all_alive();
    let marked: Vec<Process> = alive.iter().copied().filter(|p| p.has_marker(&marker)).collect();
    let recorded = alive.iter().filter(|process| record.members.contains(process));
    let grouped = marked.iter().filter(|it| record.members.iter().any(|m| m.group == it.group));
    let ours: BTreeSet<i32> = recorded.chain(grouped).map(|process| process.group).collect();
    for group in &ours {
        if let Some(group) = Pid::from_raw(*group) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
    let escaped = marked.iter().filter(|process| !ours.contains(&process.group));
    let escaped = escaped.inspect(|process| kill_exactly(process)).count();
    alive.iter().filter(|process| ours.contains(&process.group)).count() + escaped
}

/// Kills this process and no other that may have got its pid since.
fn kill_exactly(process: &Process) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    // The handle is fixed now: if the pid still has that start time, the handle is this process.
    if Process::find(process.pid).is_some_and(|now| now.start_ticks == process.start_ticks) {
        let _ = rustix::process::pidfd_send_signal(handle, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn sleeper(marker: &str) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600").env(MARKER, marker).process_group(0).stdin(Stdio::null());
        command.spawn().expect("sleep starts")
    }

    fn record(key: &str, members: Vec<Process>) -> ProcessRecord {
        ProcessRecord { key: key.into(), machine_boot: procfs::machine_boot(), members }
    }

    fn pid(child: &Child) -> i32 {
        i32::try_from(child.id()).expect("a pid")
    }

    #[tokio::test]
    async fn a_recorded_group_is_killed_by_its_start_time_and_an_escaped_process_by_its_marker() {
        let mut first = sleeper("other");
        let known = Process::find(pid(&first)).expect("it runs");
        let mut second = sleeper("leftovers-test-escaped");
        kill(record("leftovers-test-escaped", vec![known])).await;
        for child in [&mut first, &mut second] {
            assert!(!child.wait().expect("it ends").success());
        }
    }

    #[tokio::test]
    async fn a_reused_pid_is_never_killed() {
        let mut stranger = sleeper("somebody-else");
        let known = Process::find(pid(&stranger)).expect("it runs");
        let older = Process { start_ticks: known.start_ticks - 1, ..known };
        kill(record("leftovers-test-reused", vec![older])).await;
        let mut other_boot = record("somebody-else", vec![known]);
        other_boot.machine_boot = "another".into();
        kill(other_boot).await;
        assert!(stranger.try_wait().expect("asked").is_none(), "it still runs");
        stranger.kill().expect("killed");
        stranger.wait().expect("it ends");
    }
}

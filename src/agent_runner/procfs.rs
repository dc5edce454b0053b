//! What the kernel tells about processes: enough to know ours from a stranger with a reused pid.
//!
//! Linux only. Elsewhere nothing is found, so nothing is killed that is not certainly ours.

use std::path::Path;

/// A process as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// The group that it belongs to: the pid of the group's first leader.
    pub(super) group: i32,
    /// Ticks since the machine booted: with the pid it names one process for ever.
    pub(super) start_ticks: u64,
    /// Ended and only waits for its parent to notice.
    pub(super) dead: bool,
}

impl Process {
    /// The process with that pid, if there is one.
    pub(super) fn find(pid: i32) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// All processes that still run.
    pub(super) fn all_alive() -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(Path::new("/proc")) else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Self::find)
            .filter(|process| !process.dead)
            .collect()
    }

    /// Whether it was started with this environment entry, `NAME=value`.
    pub(super) fn has_marker(&self, marker: &str) -> bool {
        let environment = std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes())
    }
}

/// Which boot of the machine this is: start times of another one mean nothing.
pub(super) fn machine_boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Fields 1, 3, 5 and 22 of `proc_pid_stat(5)`. The name in field 2 may hold spaces and
/// parentheses, so counting begins behind its last parenthesis.
fn parse(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    Some(Process {
        pid,
        dead: matches!(*fields.first()?, "Z" | "X" | "x"),
        group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) Z 1 (b) S 1 41 41 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
        let expected = Process { pid: 42, group: 41, start_ticks: 98_765, dead: false };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("42 (short) S 1"), None);
    }

    #[test]
    fn this_process_is_alive_and_has_no_foreign_marker() {
        let me = i32::try_from(std::process::id()).expect("a pid");
        let found = Process::find(me).expect("it runs");
        assert!(!found.dead && Process::all_alive().contains(&found));
        assert!(!found.has_marker("DISPATCHYARD_ATTEMPT=somebody-elses"));
    }
}

//! A child process as the leader of its own group, and how the group is ended.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};

use super::leftovers::members;

/// How often a stopped group is looked at: nobody is told when its last member ends.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

/// A running group. Dropping it before its leader was waited for kills it.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    id: Pid,
    /// Once the leader is reaped, its pid may name somebody else.
    reaped: bool,
}

/// What comes with a new group.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) group: Group,
    /// Standard output and error, in the order in which they were written.
    pub(super) output: pipe::Receiver,
    /// Where it was asked for.
    pub(super) stdin: Option<ChildStdin>,
}

impl Group {
    /// Starts the command as the leader of a new group. Output and error share one pipe, which is
    /// what keeps their order.
    pub(super) fn spawn(mut command: Command, wants_stdin: bool) -> io::Result<Spawned> {
        let (reader, writer) = io::pipe()?;
        command
            .stdin(if wants_stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let mut child = command.spawn()?;
        // The command still holds the writing ends: the pipe would never end.
        drop(command);
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.ok_or_else(|| io::Error::other("the child has no pid"))?;
        let stdin = child.stdin.take();
        let group = Self { child, id, reaped: false };
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok(Spawned { group, output, stdin })
    }

    /// The group's number, which is its leader's pid.
    pub(super) fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// Waits for the leader; may be dropped and called again.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.reaped = true;
        status
    }

    /// TERM to the whole group, KILL when `grace` is over; ends when the leader is gone and the
    /// others had the rest of the grace. Members that still live are the sweep's
    /// (`leftovers.rs`), which can tell them from strangers.
    pub(super) async fn stop(&mut self, grace: impl Future<Output = ()>) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        tokio::pin!(grace);
        let status = tokio::select! {
            status = self.wait() => status?,
            () = &mut grace => {
                self.signal(Signal::KILL);
                return self.wait().await;
            }
        };
        tokio::select! {
            () = grace => {}
            () = group_is_gone(self.id()) => {}
        }
        Ok(status)
    }

    /// Only while the leader is not reaped: until then the number cannot be anybody else's.
    fn signal(&self, signal: Signal) {
        if !self.reaped {
            let _ = rustix::process::kill_process_group(self.id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn group_is_gone(group: i32) {
    while !members(group).await.is_empty() {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn shell(script: &str) -> Spawned {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Group::spawn(command, false).expect("sh starts")
    }

    #[tokio::test]
    async fn output_and_error_arrive_in_the_order_in_which_they_were_written() {
        let mut spawned = shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2");
        let mut text = String::new();
        spawned.output.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "1\n2\n3\n4\n");
        assert!(spawned.group.wait().await.expect("waited").success());
    }

    #[tokio::test]
    async fn a_group_that_ignores_term_is_killed_with_its_children_after_the_grace() {
        let mut spawned = shell("trap '' TERM; sleep 600 & echo up; wait; sleep 600");
        let mut up = [0; 3];
        spawned.output.read_exact(&mut up).await.expect("it is up");
        let grace = tokio::time::sleep(Duration::from_millis(50));
        let status = spawned.group.stop(grace).await.expect("stopped");
        assert_eq!(status.signal(), Some(9));
        // The pipe ends when the last member is gone.
        spawned.output.read_to_end(&mut Vec::new()).await.expect("read");
    }

    #[tokio::test]
    async fn a_member_that_outlives_its_leader_has_the_rest_of_the_grace() {
        let mut spawned =
            shell("(trap 'echo tidy; exit' TERM; echo up; while :; do sleep 0.01; done) & wait");
        let mut up = [0; 3];
        spawned.output.read_exact(&mut up).await.expect("it is up");
        let grace = tokio::time::sleep(Duration::from_secs(20));
        spawned.group.stop(grace).await.expect("stopped");
        let mut text = String::new();
        spawned.output.read_to_string(&mut text).await.expect("read");
        assert!(text.ends_with("tidy\n"), "{text}");
    }
}

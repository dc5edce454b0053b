//! Carries a process's output, masked and line by line, into the spool.
//!
//! The pipe stays open as long as anybody holds it, and a step's background children may hold it
//! for long. So a step's end does not wait for the pipe's: it waits until what was written before
//! the leader's exit has been read, and the pump goes on until the attempt ends. The beginning of what
//! may become a secret stays back until nobody can write its end.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::lines::LineSplitter;
use super::log_mask::LogMask;
use super::session::Ear;
use super::spool::Spool;
use super::steps::{CommandStream, Tail};

const READ_BYTES: usize = 16 * 1024;
/// The most that a pipe can hold, and thus the most that can be left of an ended process: the
/// system's default for `/proc/sys/fs/pipe-max-size`.
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// How far a pump has been asked to go, and then how far it has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Phase {
    Running,
    /// The leader has ended: read what it left.
    Settle,
    /// Nobody may write any more: read what is left, then end.
    End,
}

/// Who hears of a process's output besides the log.
pub(super) struct Listeners {
    /// Reads workflow commands, where the output may have any.
    pub(super) commands: Option<CommandStream>,
    /// Keeps the last lines.
    pub(super) tail: Arc<Tail>,
    /// Hears what the agent of a session says.
    pub(super) ear: Option<Ear>,
}

/// One process's output on its way into the log.
#[derive(Debug)]
pub(super) struct Pump {
    asked: watch::Sender<Phase>,
    reached: watch::Receiver<Phase>,
    task: JoinHandle<()>,
}

impl Pump {
    pub(super) fn start(output: pipe::Receiver, spool: Arc<Spool>, listeners: Listeners) -> Self {
        let (asked, asks) = watch::channel(Phase::Running);
        let (reaches, reached) = watch::channel(Phase::Running);
        let Listeners { commands, tail, ear } = listeners;
        let secrets = Arc::clone(spool.secrets());
        let mask = match commands {
            Some(_) => LogMask::of_text(secrets),
            None => LogMask::new(secrets),
        };
        let splitter = LineSplitter::default();
        let worker = Worker { output, spool, commands, mask, splitter, tail, ear };
        Self { asked, reached, task: tokio::spawn(worker.run(asks, reaches)) }
    }

    /// Waits until everything that was written before this call is in the spool.
    pub(super) async fn settle(&mut self) {
        self.asked.send_replace(Phase::Settle);
        // An error means that the pump has ended, which is further than asked.
        let _ = self.reached.wait_for(|phase| *phase >= Phase::Settle).await;
    }

    /// Reads what is left and ends, whoever may still hold the pipe.
    pub(super) async fn end(mut self) {
        self.asked.send_replace(Phase::End);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    output: pipe::Receiver,
    spool: Arc<Spool>,
    commands: Option<CommandStream>,
    mask: LogMask,
    splitter: LineSplitter,
    tail: Arc<Tail>,
    ear: Option<Ear>,
}

impl Worker {
    async fn run(mut self, mut asks: watch::Receiver<Phase>, reaches: watch::Sender<Phase>) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let next = tokio::select! {
                read = self.output.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(count) => { self.write(&buffer[..count]).await; continue; }
                },
                // The sender lives as long as the pump is not dropped, which aborts this task.
                asked = asks.changed() => match asked {
                    Ok(()) => *asks.borrow_and_update(),
                    Err(_) => break,
                },
            };
            let over = self.read_what_is_there(&mut buffer).await || next == Phase::End;
            self.flush(over).await;
            reaches.send_replace(next);
            if next == Phase::End {
                return;
            }
        }
        self.flush(true).await;
    }

    /// Whether nobody holds the other end any more.
    async fn read_what_is_there(&mut self, buffer: &mut [u8]) -> bool {
        let mut total = 0;
        while total < PIPE_BYTES_MAX {
            // Not `try_read`: that asks the runtime, which may not have heard of the last bytes
            // yet. The descriptor does not block.
            match rustix::io::read(&self.output, &mut *buffer) {
                Ok(count) if count > 0 => {
                    total += count;
                    self.write(&buffer[..count]).await;
                }
                Ok(_) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        false
    }

    async fn write(&mut self, bytes: &[u8]) {
        let mut masked = Vec::new();
        match &mut self.commands {
            Some(commands) => commands.push(bytes, &mut self.mask, &mut masked),
            None => self.mask.push(bytes, &mut masked),
        }
        let (stamp, mut lines) = (self.spool.stamp(), String::new());
        self.splitter.push(&masked, |line| put(&mut lines, &stamp, line, &self.tail));
        self.spool.append(lines.as_bytes()).await;
        if let Some(ear) = &mut self.ear {
            ear.push(&masked).await;
        }
    }

    /// Ends the line that is begun; when the output is over, what the mask holds back is part of it.
    async fn flush(&mut self, over: bool) {
        let (stamp, mut lines, mut masked) = (self.spool.stamp(), String::new(), Vec::new());
        if let Some(commands) = &mut self.commands {
            commands.finish(&mut self.mask, &mut masked);
        }
        if over {
            self.mask.finish(&mut masked);
        }
        self.splitter.push(&masked, |line| put(&mut lines, &stamp, line, &self.tail));
        self.splitter.finish(|line| put(&mut lines, &stamp, line, &self.tail));
        self.spool.append(lines.as_bytes()).await;
        if let Some(ear) = &mut self.ear {
            ear.push(&masked).await;
            ear.finish().await;
        }
    }
}

fn put(lines: &mut String, stamp: &str, line: &str, tail: &Tail) {
    tail.push(line);
    lines.push_str(stamp);
    lines.push_str(line);
    lines.push('\n');
}

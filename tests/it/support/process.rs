//! A child process of the program, with its log lines kept.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::wait::within;

/// A running `dispatchyard`. It is killed when the value goes away.
pub(crate) struct Logged {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// How many lines there are; closed at the end of the stream.
    count: watch::Receiver<usize>,
}

/// The program without arguments, and without what the machine's environment says of it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchyard"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DISPATCHYARD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Logged {
    pub(crate) fn spawn(arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = program();
        arguments(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                kept.lock().unwrap().push(line);
                counted.send_modify(|count| *count += 1);
            }
        });
        Self { child, lines, count }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = within("the end of a process", self.child.wait()).await.unwrap();
        // Its last lines are read before it is spoken of.
        let mut count = self.count.clone();
        within("the last line", async { while count.changed().await.is_ok() {} }).await;
        status
    }

    /// Everything that it wrote to standard error.
    pub(crate) fn told(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for the log line with this message, and gives its field.
    pub(crate) async fn line_with(&mut self, message: &str, field: &str) -> String {
        let mut seen = 0;
        loop {
            let new = self.lines.lock().unwrap()[seen..].to_vec();
            seen += new.len();
            let found = new.iter().find_map(|line| find(line, message, field));
            if let Some(found) = found {
                return found;
            }
            if within(message, self.count.changed()).await.is_err() {
                panic!("it ended before `{message}`:\n{}", self.told());
            }
        }
    }
}

fn find(line: &str, message: &str, field: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    // Fields stand beside the message, wherever the format puts them.
    let fields = line.get("fields").unwrap_or(&line);
    (fields.get("message")?.as_str()? == message).then_some(())?;
    Some(fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned())
}

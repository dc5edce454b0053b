//! The command line, run as people run it.

use std::process::ExitStatus;

use serde_json::Value;

use super::Server;
use super::process::program;
use super::wait::within;

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The output, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `dispatchyard` with these arguments to its end.
pub(crate) async fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Said {
    let output = within("the end of a command", program().args(arguments).output()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs the words of a line, with the server's address before them.
pub(crate) async fn cli(server: &Server, line: &str) -> Said {
    run(["--server", server.api.base()].into_iter().chain(line.split(' '))).await
}

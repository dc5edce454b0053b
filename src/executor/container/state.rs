//! What a daemon says of a container, and what follows for its attempt. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::event::{ExecutionResult, ExecutionStatus};
use super::super::script::Report;

/// The answer to `GET /containers/{id}/json`, as far as it is read.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) state: State,
    pub(super) config: Labelled,
}

/// The part of a configuration that is read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Labelled {
    pub(super) labels: Option<BTreeMap<String, String>>,
}

impl Labelled {
    pub(super) fn has(&self, label: &str, value: &str) -> bool {
        self.labels.as_ref().and_then(|all| all.get(label)).is_some_and(|it| it == value)
    }
}

/// How a container stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct State {
    pub(super) status: String,
    pub(super) exit_code: i64,
    #[serde(rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    pub(super) error: String,
}

/// What a status means here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// It is there and was never started.
    Created,
    Running,
    Ended,
    /// Somebody is taking it away.
    Leaving,
}

impl State {
    pub(super) fn phase(&self) -> Phase {
        phase(&self.status)
    }
}

fn phase(status: &str) -> Phase {
    match status {
        // Podman has names of its own for what is before the start.
        "created" | "configured" | "initialized" => Phase::Created,
        "exited" | "dead" | "stopped" => Phase::Ended,
        "removing" => Phase::Leaving,
        // running, paused, restarting, stopping, and what may come.
        _ => Phase::Running,
    }
}

/// An item of `GET /containers/json`, as far as it is read.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: String,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) state: String,
    /// For people: `Exited (137) 5 minutes ago`.
    #[serde(default)]
    pub(super) status: String,
}

impl Listed {
    pub(super) fn has_ended(&self) -> bool {
        phase(&self.state) == Phase::Ended
    }
}

/// How an attempt ended whose container stands so, with what the script left. `was_told` says that it was told
/// to stop.
pub(super) fn end(
    state: &State,
    report: Report,
    was_told: bool,
    memory_mb: Option<u32>,
) -> ExecutionResult {
    let exit_code = i32::try_from(state.exit_code).unwrap_or(-1);
    let is_reported = report.is_complete();
    let result = report.result(exit_code);
    if result.status == ExecutionStatus::Completed {
        return result;
    }
    if was_told {
        return ExecutionResult { error: None, status: ExecutionStatus::Cancelled, ..result };
    }
    if state.oom_killed {
        let limit = memory_mb.map_or_else(String::new, |mb| format!(" (memory_mb = {mb})"));
        let more = result.error.as_ref().filter(|_| is_reported);
        let more = more.map_or_else(String::new, |error| format!("; {error}"));
        let error = Some(format!("it was killed because its memory was not enough{limit}{more}"));
        return ExecutionResult { error, status: ExecutionStatus::Failed, ..result };
    }
    // The script ends by itself whatever its steps do, so somebody else has ended it.
    if (!is_reported && exit_code >= 128) || result.status == ExecutionStatus::Cancelled {
        let why = match state.error.as_str() {
            "" => format!("its container was stopped from outside (exit code {exit_code})"),
            error => format!("its container was stopped from outside: {error}"),
        };
        return ExecutionResult { error: Some(why), status: ExecutionStatus::Retry, ..result };
    }
    match state.error.as_str() {
        "" => result,
        error => ExecutionResult { error: Some(error.to_owned()), ..result },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent_runner::Secrets;

    fn told(state: &State, report: &str, was_told: bool) -> String {
        let report = Report::read(report.as_bytes(), &Secrets::default());
        let end = end(state, report, was_told, Some(64));
        format!(
            "{:?} {:?} {:?} {}",
            end.status,
            end.exit_code,
            end.outputs,
            end.error.unwrap_or_default()
        )
    }

    fn exited(exit_code: i64) -> State {
        State { status: "exited".into(), exit_code, ..State::default() }
    }

    #[test]
    fn each_end_has_its_meaning() {
        let failed = "a=b\n\n##[end] failed 3 whole build\n";
        let oom = State { oom_killed: true, ..exited(137) };
        let lost = State { error: "the host went down".into(), ..exited(255) };
        let told = [
            told(&exited(0), "a=b\n\n##[end] completed 0 whole x\n", false),
            told(&exited(0), "\n##[end] completed 0 whole x\n", true),
            told(&exited(0), "", false),
            told(&exited(3), failed, false),
            told(&exited(3), failed, true),
            told(&exited(143), "\n##[end] stopped 143 whole build\n", true),
            told(&exited(143), "\n##[end] stopped 143 whole build\n", false),
            told(&exited(137), "", true),
            told(&exited(137), "", false),
            told(&oom, "", false),
            told(&oom, "\n##[end] failed 137 whole build\n", false),
            told(&lost, "", false),
            told(&exited(127), "", false),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        Completed Some(0) {"a": "b"} 
        Completed Some(0) {} 
        Completed Some(0) {} 
        Failed Some(3) {"a": "b"} step `build` failed with exit code 3
        Cancelled Some(3) {"a": "b"} 
        Cancelled Some(143) {} 
        Retry Some(143) {} its container was stopped from outside (exit code 143)
        Cancelled Some(137) {} 
        Retry Some(137) {} its container was stopped from outside (exit code 137)
        Failed Some(137) {} it was killed because its memory was not enough (memory_mb = 64)
        Failed Some(137) {} it was killed because its memory was not enough (memory_mb = 64); step `build` failed with exit code 137 (a shell's for SIGKILL)
        Retry Some(255) {} its container was stopped from outside: the host went down
        Failed Some(127) {} it ended with exit code 127
        "#);
    }

    #[test]
    fn an_answer_is_read_whatever_else_is_in_it() {
        let text = r#"{ "Id": "f00", "State": { "Status": "exited", "Running": false, "OOMKilled": true,
            "ExitCode": 137, "Error": "" }, "Config": { "Labels": { "a": "b" }, "Tty": false } }"#;
        let seen: Inspected = serde_json::from_str(text).unwrap();
        assert!(seen.config.has("a", "b") && seen.state.oom_killed);
        assert_eq!(seen.state.phase(), Phase::Ended);
        let seen: Inspected = serde_json::from_str(
            r#"{ "State": { "Status": "created" }, "Config": { "Labels": null } }"#,
        )
        .unwrap();
        assert_eq!(seen.state.phase(), Phase::Created);
    }
}

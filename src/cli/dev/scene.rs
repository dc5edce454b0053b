//! How the demo is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::home::Home;
use crate::api::wire::{DeliveryAccepted, RecordView, WorkloadDetail};
use crate::cli::table::visible;
use crate::model::{JobId, WorkloadId};

/// What was told so far: names of jobs, so that log lines can say whose they are.
#[derive(Debug, Default)]
pub(super) struct Scene {
    jobs: BTreeMap<JobId, String>,
}

impl Scene {
    /// A delivery was accepted.
    pub(super) fn delivered(&self, what: &str, accepted: &DeliveryAccepted) -> String {
        let workloads: Vec<_> = accepted.workloads.iter().map(ToString::to_string).collect();
        let mut text =
            format!("\n==> {what}: delivery {} {}", accepted.delivery_id, accepted.state);
        if !workloads.is_empty() {
            let _ = write!(text, ", workload {}", workloads.join(", "));
        }
        for verdict in &accepted.triggers {
            let mark = if verdict.matched { '+' } else { '-' };
            let _ =
                write!(text, "\n    {mark} trigger {}: {}", verdict.trigger, visible(&verdict.why));
        }
        text
    }

    /// Something happened; `None` when it is not worth a line.
    pub(super) fn happened(&mut self, record: &RecordView) -> Option<String> {
        let about = match (record.job_id, record.workload_id) {
            (Some(job), _) => {
                if record.name != "job.requeued" {
                    self.jobs.insert(job, visible(&record.detail));
                }
                format!("job {job} {}", visible(&record.detail))
            }
            (None, Some(workload)) => format!("workload {workload} {}", visible(&record.detail)),
            (None, None) => return None,
        };
        let runner = record.runner_id.map(|id| format!(" on runner {id}")).unwrap_or_default();
        Some(format!("{} {:<18} {about}{runner}", clock_time(record.at_ms), record.name))
    }

    /// A job wrote a line, which begins with its time.
    pub(super) fn wrote(&self, id: JobId, line: &str) -> String {
        let name = self.jobs.get(&id).map_or("", String::as_str);
        let (time, text) = line.split_once(' ').unwrap_or(("", line));
        let time = time.get(11..23).unwrap_or("            ");
        format!("{time}   {name:>8} | {}", visible(text))
    }
}

/// What each delivery became.
pub(super) fn summary(
    deliveries: &[(&str, &DeliveryAccepted)],
    details: &BTreeMap<WorkloadId, WorkloadDetail>,
) -> String {
    let mut text = String::from("\nSummary\n");
    for (what, accepted) in deliveries {
        let _ = writeln!(text, "  delivery {} ({what})", accepted.delivery_id);
        for verdict in accepted.triggers.iter().filter(|verdict| verdict.matched) {
            let _ = writeln!(text, "    trigger {}", verdict.trigger);
            let Some(detail) = verdict.workload_id.and_then(|id| details.get(&id)) else {
                continue;
            };
            let workload = &detail.workload;
            let (id, name, state) = (workload.id, &workload.name, workload.state.as_str());
            let _ = writeln!(text, "      workload {id} {name}: {state}");
            for job in &detail.jobs {
                let took = job.ended_at_ms.map_or(0, |ended| ended - job.queued_at_ms);
                let (id, name, state) = (job.id, &job.name, job.state);
                let _ = writeln!(text, "        job {id} {name}: {state} after {took} ms");
            }
        }
    }
    text.trim_end().to_owned()
}

/// What can be typed in another terminal now.
pub(super) fn what_next(server: &str, home: &Home) -> String {
    let global = if server == "http://127.0.0.1:7878" {
        String::new()
    } else {
        format!(" --server {server}")
    };
    let (secret, config) = (home.secret_file(), home.config_file());
    format!(
        "\nStill serving; Ctrl-C stops. In another terminal:\n\
         \x20 dispatchyard{global} status\n\
         \x20 dispatchyard{global} deliveries\n\
         \x20 dispatchyard{global} run demo --ref main\n\
         \x20 dispatchyard{global} logs 1\n\
         \x20 dispatchyard{global} send fixtures/github/push.json --event push --secret-file {}\n\
         Triggers and workflows are in {}: change them and start again.",
        secret.display(),
        config.display(),
    )
}

fn clock_time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map(|at| format!("{at:.3}").get(11..23).unwrap_or_default().to_owned())
        .unwrap_or_default()
}

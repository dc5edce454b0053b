//! From what was seen of a Job and its pods to what became of the attempt: pure.
//!
//! ```text
//! exit code 0                                               well, whatever else is said
//! Job: DeadlineExceeded                                     the work took too long: it failed
//! pod: Evicted, NodeLost, preempted, node shut down, ...    what carried it failed: another attempt
//! pod or Job deleted by somebody                            the same
//! container: OOMKilled                                      the work took too much memory: it failed
//! another exit code                                         the work failed
//! ImagePullBackOff, no place for the pod, ...               it did not begin: an end once it lasts too long
//! ```
//!
//! Job and pods come by streams of their own, of which one may be ahead. An end of which only one side knows
//! is [`Verdict::Unsettled`]: whoever asks looks again at both, and believes it when it stays so.

use super::seen::{JobEnd, Main, PodSeen, Seen};

/// What became of an attempt, as far as can be seen.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Verdict {
    /// It goes on, in that pod if it has begun.
    Goes { pod: Option<String> },
    /// It has not begun and will not by itself: an end when it lasts.
    Stuck(Stuck),
    /// It seems so; look again.
    Unsettled(End),
    /// It has ended so.
    Ended(End),
}

/// Why a pod does not begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stuck {
    /// Its image cannot be had, or a container of it cannot be made.
    Container(String),
    /// There is no place for it, or no pod at all yet.
    Place(String),
}

/// How an attempt has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Its container ended by itself. The report is what it left as its termination message.
    Exited { pod: String, code: i32, report: String },
    /// The cluster says that it went well, and its pod is gone with its outputs.
    Unread,
    /// It took more memory than it may have.
    OutOfMemory { pod: String, code: i32 },
    /// It took longer than it may.
    Late(String),
    /// What carried it failed.
    Lost { pod: Option<String>, why: String },
}

/// Codes with which a process ends that was told to: by TERM and by KILL.
const TOLD_TO_END: [i32; 2] = [143, 137];

/// What became of it.
pub(super) fn judge(seen: &Seen) -> Verdict {
    let end = seen.job.as_ref().and_then(|job| job.end.as_ref());
    // More than one pod there is only when the cluster has made one too many: what is done is done.
    let well = |pod: &&PodSeen| matches!(pod.main, Main::Ended { code: 0, .. });
    let ended = |pod: &&PodSeen| matches!(pod.main, Main::Ended { .. });
    let pod = seen.pods.values().find(well).or_else(|| seen.pods.values().find(ended));
    let pod = pod.or_else(|| seen.pods.values().find(|pod| pod.phase != "Failed"));
    let pod = pod.or_else(|| seen.pods.values().next());
    if let Some(PodSeen { name, main: Main::Ended { code: 0, report, .. }, .. }) = pod {
        let (pod, report) = (name.clone(), report.clone());
        return Verdict::Ended(End::Exited { pod, code: 0, report });
    }
    if let Some(JobEnd::Failed { reason, message }) = end
        && reason == "DeadlineExceeded"
    {
        return Verdict::Ended(End::Late(message.clone()));
    }
    match pod {
        Some(pod) => of_pod(pod, end),
        None => without_pod(seen, end),
    }
}

fn without_pod(seen: &Seen, end: Option<&JobEnd>) -> Verdict {
    match end {
        Some(JobEnd::Complete) => Verdict::Unsettled(End::Unread),
        Some(JobEnd::Failed { reason, message }) => {
            let why = format!("its pod is gone: {reason}: {message}");
            Verdict::Unsettled(End::Lost { pod: None, why })
        }
        // It goes away soon, and that is an end.
        None if seen.job.as_ref().is_none_or(|job| job.is_deleted) => Verdict::Goes { pod: None },
        None => Verdict::Stuck(Stuck::Place("there is no pod yet".to_owned())),
    }
}

fn of_pod(pod: &PodSeen, end: Option<&JobEnd>) -> Verdict {
    let name = || pod.name.clone();
    let lost = |what: &str| {
        let why = [format!("the pod {} {what}", pod.name), pod.message.clone()];
        let why = why.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(": ");
        End::Lost { pod: Some(name()), why }
    };
    let ended_by_cluster = || {
        // Of whatever the cluster ends, one of the two says so.
        let by_status = (!pod.reason.is_empty()).then(|| pod.reason.clone());
        by_status.or_else(|| pod.disruption.clone())
    };
    match &pod.main {
        Main::Ended { code, reason, report } => {
            let exited = End::Exited { pod: name(), code: *code, report: report.clone() };
            if let Some(why) = ended_by_cluster() {
                return match why.as_str() {
                    "DeadlineExceeded" => Verdict::Ended(End::Late(pod.message.clone())),
                    _ => Verdict::Ended(lost(&format!("was ended: {why}"))),
                };
            }
            let told_to = TOLD_TO_END.contains(code) && pod.is_deleted;
            match reason.as_str() {
                "ContainerStatusUnknown" => Verdict::Ended(lost("was lost with its node")),
                "OOMKilled" => Verdict::Ended(End::OutOfMemory { pod: name(), code: *code }),
                // Whether somebody deleted it, or its time was over, the Job says.
                _ if told_to && end.is_none() => Verdict::Unsettled(lost("was deleted")),
                _ if told_to => Verdict::Ended(lost("was deleted")),
                _ if pod.phase == "Failed" || end.is_some() => Verdict::Ended(exited),
                // Why it ended is said when all of the pod has.
                _ => Verdict::Unsettled(exited),
            }
        }
        _ if pod.phase == "Failed" => {
            let why = ended_by_cluster().or_else(|| pod.failed_before.clone());
            let why = why.unwrap_or_else(|| "it failed before the work began".to_owned());
            match why.as_str() {
                "DeadlineExceeded" => Verdict::Ended(End::Late(pod.message.clone())),
                _ => Verdict::Ended(lost(&format!("was ended: {why}"))),
            }
        }
        _ if end == Some(&JobEnd::Complete) => Verdict::Unsettled(End::Unread),
        _ if end.is_some() => Verdict::Unsettled(lost("did not say how it ended")),
        Main::Running => Verdict::Goes { pod: Some(name()) },
        _ if pod.is_deleted => Verdict::Goes { pod: None },
        _ => match (&pod.blocked, &pod.unschedulable) {
            (Some((reason, text)), _) => {
                Verdict::Stuck(Stuck::Container(format!("{reason}: {text}")))
            }
            (None, Some(text)) => Verdict::Stuck(Stuck::Place(text.clone())),
            (None, None) => Verdict::Goes { pod: None },
        },
    }
}

#[cfg(test)]
mod tests;

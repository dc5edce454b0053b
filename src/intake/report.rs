//! Where work that an event starts is reported: at the forge that sent the event.

use crate::event::{Event, SubjectKind};
use crate::model::{OutboxTarget, PlannedWorkload, ReportOn, ReportTo};

/// The longest name of a status, in characters, that all forges take.
const CONTEXT_CHARS_MAX: usize = 200;

/// What the forge of a source is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceReport {
    /// Whether commits get a status.
    pub statuses: bool,
    /// Whether commits get a check run.
    pub checks: bool,
    /// What is written to issues and pull requests.
    pub comments: Option<ReportOn>,
    /// What the names of statuses and checks begin with.
    pub context: Box<str>,
}

impl SourceReport {
    /// Notes where a workload is reported that an event of this source starts.
    pub(super) fn add_to(&self, workload: &mut PlannedWorkload, event: &Event) {
        let Some(repository) = &event.repository else { return };
        let (source, repository) =
            (|| Box::from(&*event.source), || Box::from(&*repository.full_name));
        // Two triggers that start the same are two things to tell.
        let which = match workload.trigger == workload.name {
            true => String::new(),
            false => format!(" ({})", workload.trigger),
        };
        let name = format!("{}/{}{which}", self.context, workload.name);
        let name: String = name.chars().filter(|it| !it.is_control()).collect();
        let context = || Box::from(name.chars().take(CONTEXT_CHARS_MAX).collect::<String>());
        let mut add = |target, on| workload.terms.report.push(ReportTo { target, on });
        if let Some(sha) = event.sha.as_deref() {
            if self.statuses {
                let (source, repository, sha, context) =
                    (source(), repository(), sha.into(), context());
                let target = OutboxTarget::CommitStatus { source, repository, sha, context };
                add(target, ReportOn::All);
            }
            if self.checks {
                let (source, repository, sha, context) =
                    (source(), repository(), sha.into(), context());
                let target = OutboxTarget::CheckRun { source, repository, sha, context };
                add(target, ReportOn::All);
            }
        }
        if let (Some(on), Some(number)) = (self.comments, event.subject.number) {
            let pull_request = event.subject.kind == SubjectKind::PullRequest;
            let (source, repository) = (source(), repository());
            add(OutboxTarget::Comments { source, repository, number, pull_request }, on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, OwnEvent, Subject};
    use crate::model::{TenantId, WorkloadKind, WorkloadTerms};

    fn reported(report: &SourceReport, event: &Event) -> Vec<String> {
        let mut workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "ci".to_owned(),
            trigger: "t".to_owned(),
            tenant_id: TenantId::DEFAULT,
            session: None,
            terms: WorkloadTerms::default(),
            open: false,
            jobs: Vec::new(),
        };
        report.add_to(&mut workload, event);
        let told = workload.terms.report.iter();
        told.map(|it| serde_json::to_string(it).unwrap()).collect()
    }

    #[test]
    fn a_commit_gets_what_is_configured_and_a_pull_request_its_comments() {
        let own = OwnEvent {
            source: "gh".to_owned(),
            kind: "pull_request".to_owned(),
            repository: Some("acme/app".to_owned()),
            sha: Some("a".repeat(40)),
            ..OwnEvent::default()
        };
        let mut event = own.into_event().unwrap();
        event.kind = EventKind::PullRequest;
        event.subject =
            Subject { kind: SubjectKind::PullRequest, number: Some(7), ..Subject::default() };
        let report = SourceReport {
            statuses: true,
            checks: false,
            comments: Some(ReportOn::Failures),
            context: "yard".into(),
        };
        insta::assert_snapshot!(reported(&report, &event).join("\n"), @r#"
        {"target":{"to":"commit_status","source":"gh","repository":"acme/app","sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","context":"yard/ci (t)"},"on":"all"}
        {"target":{"to":"comments","source":"gh","repository":"acme/app","number":7,"pull_request":true},"on":"failures"}
        "#);
        let nothing = SourceReport { statuses: false, comments: None, ..report.clone() };
        assert_eq!(reported(&nothing, &event), [""; 0]);
        event.repository = None;
        assert_eq!(reported(&report, &event), [""; 0]);
    }
}

//! Where work that an event starts is reported, and where its session answers: at the forge, or in the chat, that sent
//! the event.

use crate::event::{Event, SubjectKind};
use crate::model::{OutboxTarget, PlannedWorkload, ReplyOn, ReplyTo, ReportOn, ReportTo};

/// The longest name of a status, in characters, that all forges take.
const CONTEXT_CHARS_MAX: usize = 200;

/// What the forge, or the chat, of a source is told.
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
    /// What is told of sessions, and how long one text may be (`ReplyTo::units_max`); `None`: nothing.
    pub sessions: Option<(ReplyOn, u32)>,
}

impl SourceReport {
    /// Notes where a workload is reported that an event of this source starts.
    pub(super) fn add_to(&self, workload: &mut PlannedWorkload, event: &Event) {
        if let (Some(session), Some((on, units_max))) = (&mut workload.session, self.sessions) {
            session.reply_to = conversation(event).map(|target| ReplyTo { target, on, units_max });
        }
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
        if let (Some(on), Some(target)) = (self.comments, comments(event)) {
            add(target, on);
        }
    }
}

/// Where what an event starts can be talked about: the chat in which it was said, or what it is about.
fn conversation(event: &Event) -> Option<OutboxTarget> {
    let chat = event.chat.clone();
    let chat = chat.map(|place| OutboxTarget::Chat { source: (*event.source).into(), place });
    chat.or_else(|| comments(event))
}

/// The comments of the issue or pull request that an event is about.
fn comments(event: &Event) -> Option<OutboxTarget> {
    Some(OutboxTarget::Comments {
        source: (*event.source).into(),
        repository: (*event.repository.as_ref()?.full_name).into(),
        number: event.subject.number?,
        pull_request: event.subject.kind == SubjectKind::PullRequest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, OwnEvent, Subject};
    use crate::model::{
        ChatPlace, PlannedSession, SessionWish, TenantId, WorkloadKind, WorkloadTerms,
    };

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
            sessions: None,
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

    #[test]
    fn a_session_answers_in_its_chat_or_at_its_issue_or_nowhere() {
        let mut event = OwnEvent {
            source: "gh".to_owned(),
            kind: "issue_comment".to_owned(),
            repository: Some("acme/app".to_owned()),
            ..OwnEvent::default()
        }
        .into_event()
        .unwrap();
        let report = |sessions| SourceReport {
            statuses: false,
            checks: false,
            comments: None,
            context: "yard".into(),
            sessions,
        };
        let answers = |event: &Event, sessions| {
            let session = PlannedSession {
                key: None,
                author: "ada".into(),
                opening: None,
                message: "hi".into(),
                wish: SessionWish::Talk,
                origin: "{}".into(),
                reply_to: None,
                limits: None,
            };
            let mut workload = PlannedWorkload {
                kind: WorkloadKind::Agent,
                name: "fixer".to_owned(),
                trigger: "t".to_owned(),
                tenant_id: TenantId::DEFAULT,
                session: Some(Box::new(session)),
                terms: WorkloadTerms::default(),
                open: false,
                jobs: Vec::new(),
            };
            report(sessions).add_to(&mut workload, event);
            assert_eq!(workload.terms.report, []);
            serde_json::to_string(&workload.session.unwrap().reply_to).unwrap()
        };
        let all = Some((ReplyOn::All, 9));
        assert_eq!(answers(&event, all), "null", "a push is about no issue");
        event.subject.number = Some(7);
        let issue = r#"{"target":{"to":"comments","source":"gh","repository":"acme/app","number":7},"on":"all","units_max":9}"#;
        assert_eq!(answers(&event, all), issue);
        assert_eq!(answers(&event, None), "null");
        event.chat =
            Some(ChatPlace { team: None, channel: "C1".into(), thread: Some("1.2".into()) });
        let chat = r#"{"target":{"to":"chat","source":"gh","place":{"channel":"C1","thread":"1.2"}},"on":"replies","units_max":9}"#;
        assert_eq!(answers(&event, Some((ReplyOn::Replies, 9))), chat);
    }
}

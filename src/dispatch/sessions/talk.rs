//! What is said in a session: by people to its agent, by the agent's runner, by the server.

use crate::dispatch::command::{Refusal, Reply, Verdict};
use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    Change, Direction, JobId, JobStateKind, LeaseRef, LeaseToken, MessageKind, Now, Session,
    SessionDay, SessionDelivered, SessionId, SessionMessage, SessionSays, SessionState, Untrusted,
    WorkloadId,
};

use super::SERVER;
use super::answer::Spoken;
use super::command::{SessionCommand, Told};
use super::open::said_before;

/// The most requests of one session that wait for an answer.
const APPROVALS_MAX: usize = 32;

/// Something that is said.
pub(super) struct Words<'a> {
    direction: Direction,
    kind: MessageKind,
    author: &'a str,
    text: Untrusted,
    reference: Option<Box<str>>,
    lease: Option<LeaseToken>,
}

impl<'a> Words<'a> {
    pub(super) fn new(
        direction: Direction,
        kind: MessageKind,
        author: &'a str,
        text: Untrusted,
    ) -> Self {
        Self { direction, kind, author, text, reference: None, lease: None }
    }
}

impl Scheduler {
    /// Decides one command about a session.
    pub(in crate::dispatch) fn session_command(
        &mut self,
        now: Now,
        command: SessionCommand,
        verdict: &Verdict,
    ) -> Result<Reply, Refusal> {
        match command {
            SessionCommand::Open { workload, idempotency_key } => {
                self.open_session(now, *workload, idempotency_key, verdict)
            }
            SessionCommand::Say { session_id, author, trusted, text, idempotency_key } => {
                if let Some(reply) = said_before(verdict)? {
                    return Ok(reply);
                }
                self.check_may_speak(session_id, trusted)?;
                let sequence = self.say(now, session_id, &author, text)?;
                self.answer_key(idempotency_key, session_id, sequence);
                Ok(Reply::Session { session_id, sequence, made: false, duplicate: false })
            }
            SessionCommand::Told { lease, first, messages, dealt_with } => {
                self.hear(now, lease, first, messages, dealt_with)
            }
            SessionCommand::Start(lease) => self.start_talking(now, lease),
            SessionCommand::Given { lease, up_to } => self.was_given(lease, up_to),
            SessionCommand::End { session_id, author, reason } => {
                let reason = match &*reason {
                    "" => format!("ended by {author}"),
                    reason => format!("ended by {author}: {reason}"),
                };
                let sequence = self.end_session(now, session_id, &author, &reason)?;
                Ok(Reply::Session { session_id, sequence, made: false, duplicate: false })
            }
            SessionCommand::Answer { session_id, request, approve, note, author } => {
                let sequence =
                    self.answer_request(now, session_id, request, (approve, note), &author)?;
                Ok(Reply::Session { session_id, sequence, made: false, duplicate: false })
            }
        }
    }

    /// Says something to the agent, and starts it again where none runs.
    pub(super) fn say(
        &mut self,
        now: Now,
        id: SessionId,
        author: &str,
        text: Untrusted,
    ) -> Result<i64, Refusal> {
        let row = self.live_session(id)?;
        let (tenant_id, max) = (row.tenant_id, self.settings.sessions.messages_max);
        if row.last_sequence >= max {
            return Err(Refusal::TooMany {
                what: "the session has too many messages: end it, and start another one",
                limit: "session_messages_max",
                max: usize::try_from(max).unwrap_or(usize::MAX),
            });
        }
        let is_idle = row.state == SessionState::Idle;
        self.check_budget(now, tenant_id)?;
        if is_idle {
            self.resume_session(now, id)?;
        }
        let words = Words::new(Direction::In, MessageKind::Message, author, text);
        Ok(self.append(now, id, words))
    }

    /// Adds a message to a live session, and returns its number.
    pub(super) fn append(&mut self, now: Now, id: SessionId, words: Words<'_>) -> i64 {
        let Words { direction, kind, author, text, reference, lease } = words;
        let sequence = self.sessions.edit(id, |row| {
            row.last_sequence += 1;
            row.active_at_ms = now.wall_ms;
            if direction == Direction::In {
                row.said = row.last_sequence;
            }
            row.last_sequence
        });
        let sequence = sequence.unwrap_or_default();
        self.out.changes.push(Change::SessionSaid(Box::new(SessionMessage {
            session_id: id,
            sequence,
            direction,
            kind,
            author: author.into(),
            text,
            reference,
            at_ms: now.wall_ms,
            lease,
        })));
        sequence
    }

    /// The server says something, which is told as that where the session answers.
    pub(super) fn note(&mut self, now: Now, id: SessionId, says: SessionSays, text: &str) -> i64 {
        let words = Words::new(Direction::Out, MessageKind::Note, SERVER, text.into());
        let sequence = self.append(now, id, words);
        self.tell_session(now, id, says, sequence, text);
        sequence
    }

    /// The runner tells what the agent says, and what it has dealt with.
    fn hear(
        &mut self,
        now: Now,
        lease: LeaseRef,
        first: i64,
        messages: Vec<Told>,
        dealt_with: Option<i64>,
    ) -> Result<Reply, Refusal> {
        let job_id = self.checked(lease)?;
        let job = &self.jobs[&job_id].row;
        let workload_id = job.workload_id;
        if job.kind() != JobStateKind::Running {
            return Err(Refusal::WrongState(format!("job {job_id} is not started").into()));
        }
        let last = first.saturating_add(i64::try_from(messages.len()).unwrap_or(i64::MAX)) - 1;
        let Some(id) = self.sessions.of_workload(workload_id) else {
            // The session ended, and its work has not stopped yet.
            if self.workload(workload_id).is_some_and(|it| it.session_key.is_some()) {
                self.touch(now, lease.runner_id);
                return Ok(Reply::Told { heard: last, ended: true });
            }
            return Err(Refusal::Invalid(format!("job {job_id} is of no session").into()));
        };
        let row = self.live_session(id)?;
        let heard = if row.lease == Some(lease.token) { row.heard } else { 0 };
        if first > heard + 1 || first < 1 {
            let text = format!("messages {} to {} of this lease are missing", heard + 1, first - 1);
            return Err(Refusal::Invalid(text.into()));
        }
        if messages.iter().any(|told| told.kind.is_some_and(|kind| !is_of_agents(kind))) {
            return Err(Refusal::Invalid("an agent cannot say that".into()));
        }
        self.touch(now, lease.runner_id);
        let skip = usize::try_from(heard + 1 - first).unwrap_or(usize::MAX);
        self.sessions.edit(id, |row| {
            row.lease = Some(lease.token);
            row.runner_id = Some(lease.runner_id);
            row.heard = heard.max(last);
        });
        let mut spoken = self.answers(id).then(Spoken::default);
        for told in messages.into_iter().skip(skip) {
            self.hear_one(now, id, lease.token, told, spoken.as_mut());
        }
        self.tell_spoken(now, id, spoken.unwrap_or_default());
        self.deal_with(id, lease.token, dealt_with);
        self.settle_requests(now, id);
        let ended = self.end_if_used_up(now, id);
        Ok(Reply::Told { heard: heard.max(last), ended })
    }

    fn hear_one(
        &mut self,
        now: Now,
        id: SessionId,
        lease: LeaseToken,
        told: Told,
        spoken: Option<&mut Spoken>,
    ) {
        let Told { kind, text, reference, spent } = told;
        let Some(row) = self.sessions.get(id) else { return };
        let (agent, tenant_id) = (row.agent.clone(), row.tenant_id);
        if let Some(kind) = kind {
            let told = spoken.map(|spoken| (spoken, text.clone()));
            let words = Words::new(Direction::Out, kind, &agent, text);
            let words = Words { reference, lease: Some(lease), ..words };
            let sequence = self.append(now, id, words);
            if let Some((spoken, text)) = told {
                spoken.add(kind, sequence, text.as_data());
            }
            if kind == MessageKind::ApprovalRequest {
                self.sessions.edit(id, |row| row.approvals.push(sequence));
            }
        }
        if spent != Default::default() {
            self.sessions.edit(id, |row| row.spent = row.spent.plus(spent));
            if spent.cost_micros > 0 {
                let day = self.sessions.day(tenant_id, now.wall_ms);
                let cost_micros = day.cost_micros.saturating_add(spent.cost_micros);
                self.spend(SessionDay { cost_micros, ..day });
            }
        }
    }

    fn deal_with(&mut self, id: SessionId, lease: LeaseToken, dealt_with: Option<i64>) {
        let Some(row) = self.sessions.get(id) else { return };
        let Some(up_to) = dealt_with.map(|it| it.min(row.said)) else { return };
        let after = row.delivered;
        if up_to > after {
            self.sessions.edit(id, |row| row.delivered = up_to);
            let delivered = SessionDelivered { session_id: id, after, up_to, lease };
            self.out.changes.push(Change::SessionDelivered(delivered));
        }
    }

    /// A session with requests waits; one with too many of them loses the oldest.
    fn settle_requests(&mut self, now: Now, id: SessionId) {
        while let Some(row) = self.sessions.get(id)
            && row.approvals.len() > APPROVALS_MAX
        {
            let oldest = self.sessions.edit(id, |row| row.approvals.remove(0));
            let text = format!(
                "request {} can be answered no more: {APPROVALS_MAX} later ones wait",
                oldest.unwrap_or_default()
            );
            self.note(now, id, SessionSays::Note, &text);
        }
        self.restate(id);
    }

    /// Answers a request of the agent; returns the number of the message that says so.
    pub(super) fn answer_request(
        &mut self,
        now: Now,
        id: SessionId,
        request: i64,
        (approve, note): (bool, Untrusted),
        author: &str,
    ) -> Result<i64, Refusal> {
        let row = self.live_session(id)?;
        if !row.approvals.contains(&request) {
            let text = format!("session {id} has no request {request} that waits for an answer");
            return Err(Refusal::WrongState(text.into()));
        }
        let last_one = row.approvals.len() == 1;
        if last_one && row.workload_id.is_none() {
            self.resume_session(now, id)?;
        }
        self.sessions.edit(id, |row| row.approvals.retain(|other| *other != request));
        let text = serde_json::json!({ "approve": approve, "note": note.as_data() }).to_string();
        let words = Words::new(Direction::In, MessageKind::Approval, author, text.as_str().into());
        let reference = Some(request.to_string().into());
        let sequence = self.append(now, id, Words { reference, ..words });
        self.restate(id);
        Ok(sequence)
    }

    /// A session's state follows from its requests and from its job.
    pub(super) fn restate(&mut self, id: SessionId) {
        let Some(row) = self.sessions.get(id) else { return };
        let job = row.workload_id.and_then(|workload| self.job_of_session(workload));
        let job = job.and_then(|job| self.job(job)).map(|job| job.kind());
        let state = state_of(row, job);
        if state != row.state {
            self.sessions.edit(id, |row| row.state = state);
        }
    }

    /// The job of a workload changed its state.
    pub(in crate::dispatch) fn session_job_moved(&mut self, workload: WorkloadId) {
        if let Some(id) = self.sessions.of_workload(workload) {
            self.restate(id);
        }
    }

    /// The one job of a session's workload.
    pub(in crate::dispatch) fn job_of_session(&self, workload: WorkloadId) -> Option<JobId> {
        self.workloads.get(&workload)?.jobs().first().copied()
    }

    pub(super) fn live_session(&self, id: SessionId) -> Result<&Session, Refusal> {
        self.sessions.get(id).ok_or(Refusal::UnknownSession(id))
    }

    pub(super) fn spend(&mut self, day: SessionDay) {
        self.sessions.set_day(day);
        self.out.changes.push(Change::SessionSpent(day));
    }
}

fn state_of(row: &Session, job: Option<JobStateKind>) -> SessionState {
    if !row.approvals.is_empty() {
        return SessionState::WaitingApproval;
    }
    match job {
        None => SessionState::Idle,
        Some(JobStateKind::Running) => SessionState::Running,
        Some(kind) if kind.is_terminal() => row.state,
        Some(_) => SessionState::Starting,
    }
}

fn is_of_agents(kind: MessageKind) -> bool {
    use MessageKind::{ApprovalRequest, Progress, Reply, Usage};
    matches!(kind, Reply | Progress | Usage | ApprovalRequest)
}

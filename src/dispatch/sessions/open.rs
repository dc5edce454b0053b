//! The start of a session, and of the work that carries it on.

use std::sync::Arc;

use crate::dispatch::command::{Refusal, Reply, Verdict};
use crate::dispatch::forecast::Coming;
use crate::dispatch::needs::Ends;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    Change, DeliveryId, Direction, JobSpec, JobWork, KeyScope, MessageKind, Now, PlannedJob,
    PlannedSession, PlannedWorkload, Session, SessionId, SessionState, SessionTemplate,
    SessionWish, Spent, TenantId, Trust, TrustLevel, UniqueKey, Untrusted, WorkloadId,
    WorkloadKind,
};

use super::talk::Words;
use super::wish::no_session;

/// What came of a wish for a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatch) struct Opened {
    pub(in crate::dispatch) id: SessionId,
    /// The number of the message that was said.
    pub(in crate::dispatch) sequence: i64,
    /// Whether it is a new one.
    pub(in crate::dispatch) made: bool,
    /// The workload that carries it out, if there is one.
    pub(in crate::dispatch) workload_id: Option<WorkloadId>,
}

impl Scheduler {
    /// Starts a session, or says something in the one that has its key.
    pub(super) fn open_session(
        &mut self,
        now: Now,
        mut workload: PlannedWorkload,
        idempotency_key: Option<Box<str>>,
        verdict: &Verdict,
    ) -> Result<Reply, Refusal> {
        if let Some(reply) = said_before(verdict)? {
            return Ok(reply);
        }
        let none = Vec::new();
        let (needs, ends) = self.check_plan(std::slice::from_mut(&mut workload), &none)?;
        let opened = self.open_or_join(now, workload, &needs[0], &ends, None)?;
        self.answer_key(idempotency_key, opened.id, opened.sequence);
        let Opened { id, sequence, made, .. } = opened;
        Ok(Reply::Session { session_id: id, sequence, made, duplicate: false })
    }

    /// The same for a workload that was checked and names a session.
    pub(in crate::dispatch) fn open_or_join(
        &mut self,
        now: Now,
        mut planned: PlannedWorkload,
        needs: &[Vec<usize>],
        ends: &Ends,
        delivery_id: Option<DeliveryId>,
    ) -> Result<Opened, Refusal> {
        let Some(wanted) = planned.session.take() else {
            return Err(Refusal::Invalid("the work names no session".into()));
        };
        let PlannedSession { key, author, opening, message, wish, origin, reply_to, limits } =
            *wanted;
        let tenant_id = planned.tenant_id;
        let live = key.as_deref().and_then(|key| self.sessions.with_key(tenant_id, key));
        if let Some(id) = live {
            self.check_may_join(id, &planned)?;
            let before = self.sessions.get(id).and_then(|row| row.workload_id);
            let sequence = self.fulfil(now, id, wish, &author, message)?;
            // One that has ended has none any more.
            let workload_id = self.sessions.get(id).map_or(before, |row| row.workload_id);
            return Ok(Opened { id, sequence, made: false, workload_id });
        }
        if wish != SessionWish::Talk {
            return Err(Refusal::WrongState(no_session(wish).into()));
        }
        let template = Arc::new(template(&planned)?);
        self.check_room_for_session(now, tenant_id)?;
        let outlooks = self.look_ahead(now, &Coming::of(&planned, needs))?;
        let id = SessionId(self.marks.next_workload);
        let key = key.unwrap_or_else(|| format!("session:{id}").into());
        let row = Session {
            id,
            tenant_id,
            key: (*key).into(),
            agent: self.names.share(&planned.name),
            state: SessionState::Starting,
            workload_id: Some(WorkloadId(id.0)),
            runner_id: None,
            created_at_ms: now.wall_ms,
            active_at_ms: now.wall_ms,
            ended_at_ms: None,
            end_reason: None,
            last_sequence: 0,
            said: 0,
            delivered: 0,
            resumed_from: 0,
            given: 0,
            lease: None,
            heard: 0,
            spent: Spent::default(),
            limits: self.settings.sessions.limits(limits),
            approvals: Vec::new(),
            origin: (*origin).into(),
            reply_to: reply_to.map(Arc::new),
            template,
        };
        self.out.changes.push(Change::SessionInserted(Box::new(row.clone())));
        self.sessions.insert(row);
        let mut day = self.sessions.day(tenant_id, now.wall_ms);
        day.sessions += 1;
        self.spend(day);
        let say = |text| Words::new(Direction::In, MessageKind::Message, &author, text);
        if let Some(opening) = opening {
            self.append(now, id, say(opening));
        }
        let sequence = self.append(now, id, say(message));
        carry_out(&mut planned, id, key);
        let workload_id = self.create(now, planned, needs, ends, &outlooks, delivery_id);
        debug_assert_eq!(workload_id.0, id.0);
        Ok(Opened { id, sequence, made: true, workload_id: Some(workload_id) })
    }

    /// Who may speak to one agent may not to any other, and a session that somebody trusted started may do what no
    /// stranger may ask for.
    pub(super) fn check_may_join(
        &self,
        id: SessionId,
        planned: &PlannedWorkload,
    ) -> Result<(), Refusal> {
        let row = self.live_session(id)?;
        if *row.agent != *planned.name || *row.template.trigger != *planned.trigger {
            let text = format!("session {id} has that key, and another agent or trigger");
            return Err(Refusal::Invalid(text.into()));
        }
        self.check_may_speak(id, planned.jobs.iter().all(|job| is_trusted(&job.spec.trust)))
    }

    /// Who is not trusted has nothing to say in a session that is.
    pub(super) fn check_may_speak(&self, id: SessionId, trusted: bool) -> Result<(), Refusal> {
        if !trusted && is_trusted(&self.live_session(id)?.template.trust) {
            let text = format!("session {id} is trusted, and who would speak in it is not");
            return Err(Refusal::Invalid(text.into()));
        }
        Ok(())
    }

    /// Makes another workload for a session that has none.
    pub(super) fn resume_session(&mut self, now: Now, id: SessionId) -> Result<(), Refusal> {
        let Some(row) = self.sessions.get(id) else { return Ok(()) };
        let (key, runner_id) = (row.key.to_string(), row.runner_id);
        let mut planned = planned_again(row);
        let (none, places) = (Vec::new(), vec![Vec::new()]);
        // Where its jobs go was decided with the first one.
        let ends = self.check_plan_as_routed(std::slice::from_mut(&mut planned), &none)?.1;
        let outlooks = self.look_ahead(now, &Coming::of(&planned, &places))?;
        carry_out(&mut planned, id, key.into());
        if let Some(runner_id) = runner_id {
            self.be_near(id, planned.tenant_id, runner_id);
        }
        let workload_id = self.create(now, planned, &places, &ends, &outlooks, None);
        self.sessions.edit(id, |row| {
            row.workload_id = Some(workload_id);
            row.state = SessionState::Starting;
            row.resumed_from = row.delivered;
            (row.lease, row.heard) = (None, 0);
        });
        Ok(())
    }

    /// Refuses a new session for which its tenant, or the server, has no room.
    fn check_room_for_session(&self, now: Now, tenant_id: TenantId) -> Result<(), Refusal> {
        let max = self.settings.sessions.live_max;
        if self.sessions.len() >= max {
            let what = "too many sessions are live";
            return Err(Refusal::TooMany { what, limit: "sessions_live_max", max });
        }
        let day = self.sessions.day(tenant_id, now.wall_ms);
        let per_day = self.settings.tenants.get(&tenant_id).and_then(|it| it.sessions_per_day_max);
        if let Some(max) = per_day.filter(|max| day.sessions.unsigned_abs() >= *max) {
            return Err(Refusal::TooMany {
                what: "the tenant has started too many sessions today (UTC)",
                limit: "sessions_per_day_max",
                max: usize::try_from(max).unwrap_or(usize::MAX),
            });
        }
        self.check_budget(now, tenant_id)
    }

    /// Refuses more work of agents for a tenant that has spent what it may today.
    pub(super) fn check_budget(&self, now: Now, tenant_id: TenantId) -> Result<(), Refusal> {
        match self.spent_budget(now, tenant_id) {
            None => Ok(()),
            Some(max) => Err(Refusal::TooMany {
                what: "the tenant has spent what its agents may cost in one day (UTC)",
                limit: "session_cost_micros_per_day_max",
                max: usize::try_from(max).unwrap_or(usize::MAX),
            }),
        }
    }

    /// What a tenant may spend in a day, if it has.
    pub(super) fn spent_budget(&self, now: Now, tenant_id: TenantId) -> Option<u64> {
        let max = self.settings.tenants.get(&tenant_id)?.session_cost_micros_per_day_max?;
        let day = self.sessions.day(tenant_id, now.wall_ms);
        (day.cost_micros.unsigned_abs() >= max).then_some(max)
    }

    /// Says what a caller's key stands for.
    pub(super) fn answer_key(&mut self, key: Option<Box<str>>, id: SessionId, sequence: i64) {
        if let Some(key) = key {
            let key = UniqueKey { scope: KeyScope::Submission, key };
            self.out.changes.push(Change::KeyAnswered(key, format!("{id}/{sequence}").into()));
        }
    }
}

/// What to answer to a request whose key was used before.
pub(super) fn said_before(verdict: &Verdict) -> Result<Option<Reply>, Refusal> {
    let Verdict::Duplicate(first) = verdict else { return Ok(None) };
    // Claimed by a request that was refused, in a batch that was committed for others.
    if first.is_empty() {
        return Ok(None);
    }
    let parsed = first.split_once('/').and_then(|(id, sequence)| {
        Some((id.parse::<SessionId>().ok()?, sequence.parse::<i64>().ok()?))
    });
    let (session_id, sequence) = parsed.ok_or_else(|| {
        Refusal::WrongState(format!("the key of this request stands for `{first}`").into())
    })?;
    Ok(Some(Reply::Session { session_id, sequence, made: false, duplicate: true }))
}

/// The name under which the jobs of a session are near to each other.
pub(super) fn nearness(id: SessionId) -> Box<str> {
    format!("session:{id}").into()
}

/// Makes the workload one of the session.
fn carry_out(planned: &mut PlannedWorkload, id: SessionId, key: Box<str>) {
    planned.session = Some(Box::new(PlannedSession {
        key: Some(key),
        author: "".into(),
        opening: None,
        message: Untrusted::default(),
        wish: SessionWish::Talk,
        origin: "".into(),
        reply_to: None,
        limits: None,
    }));
    for job in &mut planned.jobs {
        job.terms.placement.affinity.get_or_insert_with(|| nearness(id));
    }
}

/// How a session is carried out, out of the work that starts it.
fn template(planned: &PlannedWorkload) -> Result<SessionTemplate, Refusal> {
    let ([job], false, WorkloadKind::Agent) = (&planned.jobs[..], planned.open, planned.kind)
    else {
        return Err(Refusal::Invalid("a session is carried out by one job of an agent".into()));
    };
    let terms = &job.terms;
    if !terms.needs_workloads.is_empty() || !terms.late_needs.is_empty() {
        return Err(Refusal::Invalid("the job of a session needs no other".into()));
    }
    Ok(SessionTemplate {
        trigger: planned.trigger.as_str().into(),
        job: job.name.as_str().into(),
        requirements: job.requirements.clone(),
        priority: job.priority,
        timeout_ms: job.timeout_ms,
        retry: job.retry,
        terms: job.terms.clone(),
        workload: planned.terms.clone(),
        env: job.spec.env.clone(),
        trust: job.spec.trust.clone(),
    })
}

/// The work of a session's next turn.
fn planned_again(row: &Session) -> PlannedWorkload {
    let template = &*row.template;
    // Times of the first one are over.
    let terms = crate::model::JobTerms { deadline_ms: None, ..template.terms.clone() };
    let job = PlannedJob {
        name: template.job.to_string(),
        needs: Vec::new(),
        requirements: template.requirements.clone(),
        priority: template.priority,
        timeout_ms: template.timeout_ms,
        retry: template.retry,
        not_before_ms: 0,
        terms,
        spec: Arc::new(JobSpec {
            work: JobWork::Agent { profile: row.agent.to_string(), prompt: Untrusted::default() },
            env: template.env.clone(),
            trust: template.trust.clone(),
            traceparent: None,
            workflow: None,
        }),
    };
    PlannedWorkload {
        kind: WorkloadKind::Agent,
        name: row.agent.to_string(),
        trigger: template.trigger.to_string(),
        tenant_id: row.tenant_id,
        session: None,
        terms: template.workload.clone(),
        open: false,
        jobs: vec![job],
    }
}

fn is_trusted(trust: &Trust) -> bool {
    trust.level == TrustLevel::Trusted
}

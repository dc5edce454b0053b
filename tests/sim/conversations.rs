//! Worlds of sessions, long because a world is one thing: people who say things, agents that deal with them, runners that are lost, servers that
//! start again from the rows, batches that are lost before anybody heard of them.
//!
//! After each batch the fourth law is checked. At the end each message that was accepted has reached an agent,
//! the messages of each attempt came in order, and none was taken to be dealt with that no agent had. The agents
//! here know what they were told by themselves; the scheduler's numbers are held against that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dispatchyard::dispatch::{
    Command, Refusal, Register, Reply, Scheduler, SessionCommand, Settings, Told, Verdict,
};
use dispatchyard::model::{
    AssignedJob, Direction, JobPriority, JobResult, JobSpec, JobWork, LeaseRef, MessageKind, Now,
    OutboxTarget, PlannedJob, PlannedSession, PlannedWorkload, ReplyOn, ReplyTo, RetryPolicy,
    RunnerCapabilities, RunnerId, RunnerRequirements, SessionId, SessionState, SessionWish, Spent,
    TenantId, Trust, Untrusted, WorkloadKind,
};
use dispatchyard::runner::PollId;

use crate::dice::Dice;
use crate::many::{Seen, all_keep_the_laws};
use crate::rows::Rows;

mod past;

const WORLDS: u64 = 300;
const STEPS: usize = 250;
const RUNNERS: usize = 3;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// An attempt of an agent.
struct Agent {
    job: AssignedJob,
    session: SessionId,
    /// What it was told, in order.
    told: Vec<i64>,
    dealt_with: i64,
    /// How many messages it has sent.
    sent: i64,
}

struct World {
    scheduler: Scheduler,
    settings: Settings,
    rows: Rows,
    dice: Dice,
    entropy: Dice,
    now: Now,
    runners: Vec<RunnerId>,
    agents: Vec<Agent>,
    silent: Vec<past::Silent>,
    answers: BTreeMap<PollId, Vec<AssignedJob>>,
    next_poll: u64,
    /// What was accepted and went to agents.
    accepted: BTreeSet<(SessionId, i64)>,
    /// What reached one.
    reached: BTreeSet<(SessionId, i64)>,
    /// Up to where some agent was told all of it.
    dealt: BTreeMap<SessionId, i64>,
    seen: Seen,
    /// The trouble is over.
    runs_dry: bool,
}

fn settings() -> Settings {
    let mut settings = Settings { lease_ms: 1_000, ack_window_ms: 500, ..Settings::default() };
    settings.infra_retries_max = 1_000;
    settings.sessions.limits.turns_max = 40;
    settings
}

fn lease(job: &AssignedJob) -> LeaseRef {
    LeaseRef { token: job.lease.token, nonce: job.lease.nonce, runner_id: job.lease.runner_id }
}

impl World {
    fn new(seed: u64) -> Self {
        let (settings, now) = (settings(), Now { mono_ms: 1, wall_ms: 1_700_000_000_000 });
        let rows = Rows { epoch: 1, ..Rows::default() };
        let mut world = Self {
            scheduler: Scheduler::load(rows.snapshot(1), settings.clone(), now),
            settings,
            rows,
            dice: Dice(seed),
            entropy: Dice(seed ^ 0x5e55),
            now,
            runners: Vec::new(),
            agents: Vec::new(),
            silent: Vec::new(),
            answers: BTreeMap::new(),
            next_poll: 1,
            accepted: BTreeSet::new(),
            reached: BTreeSet::new(),
            dealt: BTreeMap::new(),
            seen: Seen::new(),
            runs_dry: false,
        };
        for at in 0..RUNNERS {
            world.register(at, 0);
        }
        world
    }

    fn mark(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One batch: committed, or (`lost`) gone before anybody heard of it.
    fn batch(&mut self, commands: Vec<Command>, lost: bool) -> Vec<Result<Reply, Refusal>> {
        self.scheduler.tick(self.now, &mut self.entropy);
        let mut replies = Vec::new();
        for command in commands {
            let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.entropy);
            replies.push(reply);
        }
        self.scheduler.settle(self.now, &mut self.entropy);
        let output = self.scheduler.take_output();
        if lost {
            self.mark("lost batch");
            self.restart();
            return Vec::new();
        }
        self.rows.apply(output.changes, output.marks);
        for answer in output.answers {
            self.answers.insert(answer.poll_id, answer.jobs);
        }
        let loaded = Scheduler::load(self.rows.snapshot(9), self.settings.clone(), self.now);
        assert_eq!(loaded.durable(), self.scheduler.durable(), "memory follows from the rows");
        replies
    }

    fn send(&mut self, command: Command) -> Option<Result<Reply, Refusal>> {
        let lost = self.dice.once_in(40);
        self.batch(vec![command], lost).into_iter().next()
    }

    fn restart(&mut self) {
        self.rows.epoch += 1;
        let snapshot = self.rows.snapshot(self.rows.epoch);
        self.scheduler = Scheduler::load(snapshot, self.settings.clone(), self.now);
        drop(self.scheduler.take_output());
        self.answers.clear();
    }

    fn register(&mut self, at: usize, boot: u64) {
        let register = Register {
            name: format!("r{at}").into(),
            instance_id: format!("i{at}").into(),
            boot_id: format!("b{boot}").into(),
            pool_id: dispatchyard::model::PoolId::DEFAULT,
            token_hash: format!("h{at}").into(),
            capabilities: RunnerCapabilities { max_parallel_jobs: 2, ..Default::default() },
            version: "1".into(),
            ordered: None,
        };
        let replies = self.batch(vec![Command::Register(Box::new(register))], false);
        let Some(Ok(Reply::Registered(id))) = replies.into_iter().next() else { panic!("refused") };
        match self.runners.get_mut(at) {
            Some(known) => *known = id,
            None => self.runners.push(id),
        }
    }

    fn planned(&mut self) -> PlannedWorkload {
        let key = self.dice.pick(&KEYS);
        let work = JobWork::Agent { profile: "p".into(), prompt: Untrusted::default() };
        let spec = JobSpec {
            work,
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        };
        let job = PlannedJob {
            name: "session".into(),
            needs: Vec::new(),
            requirements: RunnerRequirements::default(),
            priority: JobPriority::Normal,
            timeout_ms: 1_000_000,
            retry: RetryPolicy { max_retries: 1, backoff_ms: 0 },
            not_before_ms: 0,
            terms: Default::default(),
            spec: Arc::new(spec),
        };
        let session = PlannedSession {
            key: Some(key.into()),
            author: "ada".into(),
            opening: self.dice.once_in(3).then(|| "opening".into()),
            message: "hello".into(),
            wish: SessionWish::Talk,
            origin: "{}".into(),
            reply_to: self.dice.once_in(2).then(|| ReplyTo {
                target: OutboxTarget::Callback { url: key.into() },
                on: if self.dice.once_in(2) { ReplyOn::All } else { ReplyOn::Replies },
                units_max: 1_000,
            }),
            limits: None,
        };
        PlannedWorkload {
            kind: WorkloadKind::Agent,
            name: "p".into(),
            trigger: String::new(),
            tenant_id: TenantId::DEFAULT,
            session: Some(Box::new(session)),
            terms: Default::default(),
            open: false,
            jobs: vec![job],
        }
    }

    fn accept(&mut self, reply: Option<&Result<Reply, Refusal>>) {
        if let Some(Ok(Reply::Session { session_id, sequence, .. })) = reply {
            self.accepted.insert((*session_id, *sequence));
        }
    }

    /// Two people at once, as often as one.
    fn open(&mut self) {
        let (one, two) = (self.planned(), self.planned());
        let open = |workload| {
            let workload = Box::new(workload);
            Command::Session(SessionCommand::Open { workload, idempotency_key: None })
        };
        let both = if self.dice.once_in(2) { vec![open(one), open(two)] } else { vec![open(one)] };
        for reply in self.batch(both, false) {
            if let Ok(Reply::Session { made, .. }) = &reply {
                self.mark(if *made { "made" } else { "joined" });
            }
            self.accept(Some(&reply));
        }
    }

    fn a_session(&mut self) -> Option<SessionId> {
        let live: Vec<_> = self.rows.talks.live.keys().copied().collect();
        (!live.is_empty()).then(|| self.dice.pick(&live))
    }

    fn say(&mut self) {
        let Some(session_id) = self.a_session() else { return };
        if self.rows.talks.live[&session_id].state == SessionState::Idle {
            self.mark("resumed");
        }
        let (author, text) = ("ada".into(), "more".into());
        let command =
            SessionCommand::Say { session_id, author, trusted: true, text, idempotency_key: None };
        let reply = self.send(Command::Session(command));
        self.accept(reply.as_ref());
    }

    fn answer(&mut self) {
        let asked = self.rows.talks.live.values().find(|row| !row.approvals.is_empty());
        let Some((session_id, request)) = asked.map(|row| (row.id, row.approvals[0])) else {
            return;
        };
        let (approve, note, author) = (self.dice.once_in(2), "".into(), "eve".into());
        let command = SessionCommand::Answer { session_id, request, approve, note, author };
        let reply = self.send(Command::Session(command));
        if reply.as_ref().is_some_and(Result::is_ok) {
            self.mark("answered");
        }
        self.accept(reply.as_ref());
    }

    fn end(&mut self) {
        let Some(session_id) = self.a_session() else { return };
        let (author, reason) = ("eve".into(), "".into());
        if self.send(Command::Session(SessionCommand::End { session_id, author, reason })).is_some()
        {
            self.mark("ended");
        }
    }

    fn poll(&mut self) {
        let runner_id = self.dice.pick(&self.runners.clone());
        let poll_id = PollId(self.next_poll);
        self.next_poll += 1;
        let mine = |agent: &&Agent| agent.job.lease.runner_id == runner_id;
        let known = self.agents.iter().filter(mine).map(|agent| agent.job.lease.token).collect();
        let poll = dispatchyard::dispatch::Poll {
            runner_id,
            poll_id,
            wait_ms: 0,
            jobs_max: None,
            known,
            capabilities: None,
            current_jobs: None,
        };
        if self.send(Command::Poll(Box::new(poll))).is_none() {
            return;
        }
        for job in self.answers.remove(&poll_id).unwrap_or_default() {
            let talks = !self.dice.once_in(4);
            let start = match talks {
                true => Command::Session(SessionCommand::Start(lease(&job))),
                false => Command::Start(lease(&job)),
            };
            if matches!(self.send(start), Some(Ok(Reply::Started { .. }))) {
                let works = self.rows.talks.live.values();
                let of = works.rev().find(|row| row.workload_id == Some(job.workload_id));
                let Some(row) = of else { continue };
                let (session, dealt_with) = (row.id, row.delivered);
                if !talks && !self.runs_dry {
                    self.begin_silently(job, session);
                    continue;
                }
                self.agents.push(Agent { job, session, told: Vec::new(), dealt_with, sent: 0 });
                self.mark("started");
            }
        }
    }

    /// An agent reads what there is for it, says something, and deals with some of what it was told.
    fn talk(&mut self) {
        if self.agents.is_empty() {
            return;
        }
        let at = self.dice.roll(self.agents.len() as u64) as usize;
        self.read(at);
        let kinds = [MessageKind::Reply, MessageKind::Progress, MessageKind::ApprovalRequest];
        let many = self.dice.roll(3);
        let says: Vec<Told> = (0..many)
            .map(|_| {
                let turn = self.dice.once_in(4);
                let kind =
                    if self.dice.once_in(8) { kinds[2] } else { self.dice.pick(&kinds[..2]) };
                Told {
                    kind: (!turn).then_some(kind),
                    text: "x".into(),
                    reference: None,
                    spent: Spent { turns: u32::from(turn), ..Spent::default() },
                }
            })
            .collect();
        let deals = self.dice.once_in(2);
        let agent = &mut self.agents[at];
        if deals && let Some(next) = agent.told.iter().find(|seq| **seq > agent.dealt_with) {
            agent.dealt_with = *next;
        }
        let (lease, first, session) = (lease(&agent.job), agent.sent + 1, agent.session);
        let dealt_with = Some(agent.dealt_with);
        let told = SessionCommand::Told { lease, first, messages: says.clone(), dealt_with };
        let told = Command::Session(told);
        let mut reply = self.send(told.clone());
        while reply.is_none() {
            // The answer was lost: it is said again.
            reply = self.send(told.clone());
        }
        match reply {
            Some(Ok(Reply::Told { heard, ended })) => {
                let agent = &mut self.agents[at];
                agent.sent += says.len() as i64;
                assert!(ended || heard == agent.sent);
                let dealt = self.dealt.entry(session).or_default();
                *dealt = agent.dealt_with.max(*dealt);
            }
            Some(Err(Refusal::LeaseLost(_))) => drop(self.agents.remove(at)),
            other => panic!("{other:?}"),
        }
    }

    /// What the runner asks for is in the rows: all that follows what the agent was told last.
    fn read(&mut self, at: usize) {
        let agent = &mut self.agents[at];
        let last = agent.told.last().copied().unwrap_or(agent.dealt_with);
        let said = self.rows.talks.messages.get(&agent.session).into_iter().flatten();
        for message in said.filter(|it| it.direction == Direction::In && it.sequence > last) {
            agent.told.push(message.sequence);
            self.reached.insert((agent.session, message.sequence));
        }
        assert!(agent.told.is_sorted());
    }

    fn leave(&mut self, well: bool) {
        if self.agents.is_empty() {
            return;
        }
        let at = self.dice.roll(self.agents.len() as u64) as usize;
        let lease = lease(&self.agents[at].job);
        let result = if well { JobResult::success() } else { JobResult::failed("x") };
        let told = SessionCommand::Told {
            lease,
            first: self.agents[at].sent + 1,
            messages: Vec::new(),
            dealt_with: Some(self.agents[at].dealt_with),
        };
        let end = Command::Complete { lease, result: Box::new(result) };
        if self.dice.once_in(3) {
            // Without a word of what it has dealt with: that is not known then.
            self.batch(vec![end], false);
            self.agents.remove(at);
            self.mark("left without a word");
        } else if !self.batch(vec![Command::Session(told), end], false).is_empty() {
            let agent = self.agents.remove(at);
            let dealt = self.dealt.entry(agent.session).or_default();
            *dealt = agent.dealt_with.max(*dealt);
            self.mark(if well { "left well" } else { "failed" });
        }
    }

    /// A runner's process dies: another one of it comes later, or never.
    fn die(&mut self) {
        let at = self.dice.roll(RUNNERS as u64) as usize;
        let runner_id = self.runners[at];
        self.agents.retain(|agent| agent.job.lease.runner_id != runner_id);
        self.forget_silent(|job| job.lease.runner_id == runner_id);
        self.mark("died");
        let boot = self.next_poll;
        self.register(at, boot);
    }

    fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        let held: BTreeMap<RunnerId, Vec<_>> =
            self.agents.iter().fold(BTreeMap::new(), |mut all, it| {
                let held = dispatchyard::dispatch::HeldLease {
                    token: it.job.lease.token,
                    nonce: it.job.lease.nonce,
                };
                all.entry(it.job.lease.runner_id).or_insert_with(Vec::new).push(held);
                all
            });
        for (runner_id, leases) in held {
            let (capabilities, current_jobs) = (None, None);
            let beat = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
            let replies = self.batch(vec![beat], false);
            if let Some(Ok(Reply::Heartbeat { lost, cancel, .. })) = replies.into_iter().next() {
                self.agents.retain(|agent| !lost.contains(&agent.job.lease.token));
                for token in cancel {
                    let of = self.agents.iter().position(|it| it.job.lease.token == token);
                    let Some(at) = of else { continue };
                    let agent = self.agents.remove(at);
                    let result = Box::new(JobResult::failed("cancelled"));
                    let end = Command::Complete { lease: lease(&agent.job), result };
                    self.batch(vec![end], false);
                }
            }
        }
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0 | 1 => self.open(),
            2..=5 => self.say(),
            6..=8 => self.poll(),
            9..=13 => self.talk(),
            14 => match self.dice.once_in(3) {
                true => self.end_silently(),
                false => self.leave(true),
            },
            15 => match self.dice.once_in(3) {
                true => self.leave(false),
                false => self.answer(),
            },
            16 if self.dice.once_in(3) => self.die(),
            17 if self.dice.once_in(6) => self.end(),
            17 if self.dice.once_in(4) => self.prune(),
            18 if self.dice.once_in(3) => {
                self.mark("restart");
                self.restart();
            }
            _ => {
                let ms = self.dice.pick(&[1, 20, 300]);
                self.pass(ms);
            }
        }
        self.check();
    }

    /// Nothing is taken to be dealt with that no agent has dealt with.
    fn check(&self) {
        self.rows.talks.all_is_told();
        for row in self.rows.talks.live.values() {
            let dealt = self.dealt.get(&row.id).copied().unwrap_or(0);
            let most = self.agents.iter().filter(|it| it.session == row.id).map(|it| it.dealt_with);
            let most = most.chain([dealt]).max().unwrap_or(0);
            assert!(row.delivered <= most, "session {}: {} of {most}", row.id, row.delivered);
        }
    }

    /// After the last trouble: agents that work come, and all that was accepted in live sessions is dealt with.
    fn run_dry(&mut self) {
        self.runs_dry = true;
        for _ in 0..400 {
            self.pass(20);
            self.end_silently();
            self.answer();
            // What nobody runs for needs another word, as its note says.
            let live = self.rows.talks.live.values().filter(|row| row.is_behind());
            let resting = live.filter(|row| row.state == SessionState::Idle);
            let resting: Vec<_> = resting.map(|row| row.id).collect();
            for session_id in resting {
                let (author, text) = ("ada".into(), "go on".into());
                let command = SessionCommand::Say {
                    session_id,
                    author,
                    trusted: true,
                    text,
                    idempotency_key: None,
                };
                let reply = self.send(Command::Session(command));
                self.accept(reply.as_ref());
            }
            self.poll();
            for at in (0..self.agents.len()).rev() {
                self.read(at);
                let agent = &mut self.agents[at];
                agent.dealt_with = agent.told.last().copied().unwrap_or(agent.dealt_with);
                let (lease, first) = (lease(&agent.job), agent.sent + 1);
                let (messages, dealt_with) = (Vec::new(), Some(agent.dealt_with));
                let told = SessionCommand::Told { lease, first, messages, dealt_with };
                self.batch(vec![Command::Session(told)], false);
            }
            let live = self.rows.talks.live.values();
            if live.clone().all(|row| !row.is_behind() && row.approvals.is_empty()) {
                break;
            }
        }
        for row in self.rows.talks.live.values() {
            assert!(!row.is_behind(), "session {} is behind: {row:?}", row.id);
            let lost: Vec<_> = self
                .accepted
                .iter()
                .filter(|(id, _)| *id == row.id)
                .filter(|message| !self.reached.contains(message))
                .collect();
            assert!(lost.is_empty(), "accepted and never told: {lost:?}");
        }
    }
}

#[test]
fn no_message_of_a_session_is_lost_whatever_happens() {
    let wanted = [
        "made",
        "joined",
        "resumed",
        "answered",
        "ended",
        "started",
        "left well",
        "failed",
        "died",
        "restart",
        "lost batch",
        "left without a word",
        "began silently",
        "ended silently",
        "given a part",
        "live not pruned",
        "pruned",
        "pruned a piece",
    ];
    let play = |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.run_dry();
        world.seen
    };
    all_keep_the_laws(WORLDS, &wanted, play);
}

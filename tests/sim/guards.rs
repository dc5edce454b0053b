//! Worlds of deliveries that somebody must approve, long because a world is one thing: strangers and people of
//! one's own push to pull requests, operators approve and deny, planners take up what was approved, servers start
//! again or are another one, batches are lost before anybody heard of them, and answers after.
//!
//! What is held and what runs is decided by the real rules. The world knows by itself who sent what, who approved what
//! and which push is the newest, and holds the rows against that: nothing that was accepted is lost, nothing starts
//! twice, and nothing of a stranger starts that nobody approved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dispatchyard::dispatch::{
    Command, Deliver, HeldAnswer, Refusal, Reply, Scheduler, Settings, Verdict,
};
use dispatchyard::event::Event;
use dispatchyard::intake::{Arrival, Outcome, Rules, evaluate};
use dispatchyard::model::{
    Body, Catalogue, Change, Delivery, DeliveryId, DeliveryState, KeyScope, Now, Plan, TenantId,
    UniqueKey,
};
use dispatchyard::trigger::RuleConfig;
use dispatchyard::workflow::{Defaults, File};
use serde_json::json;

use crate::dice::Dice;
use crate::many::{Seen, all_keep_the_laws, each_is_noticed};
use crate::rows::Rows;

const WORLDS: u64 = 150;
const STEPS: usize = 150;
const SUBJECTS: u64 = 4;
const EXPIRES_MS: i64 = 5_000;

/// What goes wrong in a world that must fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// What is held starts all the same.
    StartsHeld,
    /// Rows do not say what is held.
    HeldForgotten,
    /// An instance that does not lead any more writes.
    FenceOpen,
    /// Who planned under another leader goes on.
    PlannerGoesOn,
    /// The key of a delivery is claimed and not kept.
    KeyForgotten,
    /// Nobody looks at what a push is about.
    PushUnseen,
    /// What was approved is not taken up.
    NotTakenUp,
}

const FAULTS: [Fault; 7] = [
    Fault::StartsHeld,
    Fault::HeldForgotten,
    Fault::FenceOpen,
    Fault::PlannerGoesOn,
    Fault::KeyForgotten,
    Fault::PushUnseen,
    Fault::NotTakenUp,
];

/// A request as its sender knows it: it is sent again, with the same id of its own, until it is answered.
#[derive(Clone)]
struct Sent {
    external: u64,
    subject: u64,
    sha: u64,
    stranger: bool,
}

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Heard,
    Lost,
    Unheard,
}

struct World {
    scheduler: Scheduler,
    /// One that led before, and does not know better.
    stale: Option<(i64, Scheduler)>,
    settings: Settings,
    rules: Rules,
    rows: Rows,
    dice: Dice,
    entropy: Dice,
    now: Now,
    fault: Option<Fault>,
    next: u64,
    /// Requests whose senders wait for an answer.
    unanswered: Vec<Sent>,
    /// Which request each committed delivery is of.
    requests: BTreeMap<DeliveryId, Sent>,
    /// What was answered with 202.
    accepted: BTreeSet<u64>,
    /// What operators were told is approved, or denied.
    approved: BTreeSet<DeliveryId>,
    denied: BTreeSet<DeliveryId>,
    /// How often each request started something.
    starts: BTreeMap<u64, u32>,
    /// What a planner has read, and under which epoch.
    read: Option<(i64, DeliveryId)>,
    seen: Seen,
}

fn rules() -> Rules {
    #[derive(serde::Deserialize)]
    struct Config {
        trigger: Vec<RuleConfig>,
    }
    let text = "[[trigger]]\nname = 'checked'\nworkflow = 'build'\non = 'pull_request'\n\
                allow = { forks = true, approval = 'untrusted' }\n";
    let config: Config = toml::from_str(text).unwrap();
    let file = "jobs:\n  one: { runs-on: x, steps: [{ run: ls }] }\n";
    let file = File::parse("build.yml", file, Default::default()).unwrap();
    let workflows = BTreeMap::from([("build".to_owned(), file)]);
    let catalogue = Arc::new(Catalogue::default());
    Rules::compile(&config.trigger, workflows, Defaults::default(), catalogue).unwrap()
}

impl Sent {
    fn event(&self) -> Event {
        let level = if self.stranger { "untrusted" } else { "trusted" };
        let event = json!({
            "source": "gh", "kind": "pull_request", "action": "synchronize",
            "repository": { "id": 5, "full_name": "o/r" },
            "actor": { "id": 7, "login": "ada", "account_type": "User" },
            "subject": { "kind": "pull_request", "number": self.subject, "from_fork": self.stranger },
            "sha": format!("{:040x}", self.sha),
            "trust": { "level": level, "reason": "so it is" },
        });
        serde_json::from_value(event).unwrap()
    }

    fn key(&self) -> UniqueKey {
        UniqueKey { scope: KeyScope::Delivery, key: format!("gh {}", self.external).into() }
    }
}

impl World {
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let now = Now { mono_ms: 1, wall_ms: 1_700_000_000_000 };
        let settings = Settings { held_expires_after_ms: Some(EXPIRES_MS), ..Settings::default() };
        let rows = Rows { epoch: 1, ..Rows::default() };
        Self {
            scheduler: Scheduler::load(rows.snapshot(1), settings.clone(), now),
            stale: None,
            settings,
            rules: rules(),
            rows,
            dice: Dice(seed),
            entropy: Dice(seed ^ 0x6a2d),
            now,
            fault,
            next: 1,
            unanswered: Vec::new(),
            requests: BTreeMap::new(),
            accepted: BTreeSet::new(),
            approved: BTreeSet::new(),
            denied: BTreeSet::new(),
            starts: BTreeMap::new(),
            read: None,
            seen: Seen::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn mark(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// A delivery with what the rules say of it.
    fn deliver(&self, id: DeliveryId, sent: &Sent, taken_up: bool) -> Deliver {
        let event = sent.event();
        let paper = self.rows.desk.papers.get(&id).filter(|_| taken_up);
        let approval = paper.and_then(|paper| paper.approval.clone());
        let by = approval.as_ref().and_then(|approval| approval.by.clone());
        let arrival = Arrival { approved_by: by.as_deref(), ..Arrival::default() };
        let evaluated = evaluate(&event, &self.rules, arrival);
        let (state, reason, plan) = match evaluated.outcome {
            Outcome::Plan(plan) => (DeliveryState::Dispatched, None, plan),
            Outcome::Held(why) => {
                let arrival = Arrival { approved_by: Some("nobody"), ..Arrival::default() };
                let plan = match evaluate(&event, &self.rules, arrival).outcome {
                    Outcome::Plan(plan) if self.has(Fault::StartsHeld) => plan,
                    _ => Plan::default(),
                };
                (DeliveryState::Held, Some(why), plan)
            }
            other => panic!("{other:?}"),
        };
        let delivery = Delivery {
            id,
            source: "gh".into(),
            external_id: Some(sent.external.to_string().into()),
            event_kind: "pull_request".into(),
            action: None,
            state,
            reason: reason.map(Into::into),
            verdicts: evaluated.verdicts,
            trust: event.trust.clone(),
            tenant_id: TenantId::DEFAULT,
            replay_of: None,
            attempts: 1,
            received_at_ms: self.now.wall_ms,
            headers: "{}".into(),
            event: None,
            traceparent: None,
            approval: approval.map(Box::new),
            body: Body::Inline(Vec::new().into()),
        };
        let key = (!taken_up).then(|| sent.key());
        let about = event.about().filter(|_| !self.has(Fault::PushUnseen));
        Deliver { delivery, plan, key, ended: Vec::new(), adopted: taken_up, about }
    }

    /// One batch with one command, by the leader or by one that was: what was answered, if anybody heard.
    fn batch(
        &mut self,
        command: Command,
        by_stale: bool,
        fate: Fate,
    ) -> Option<Result<Reply, Refusal>> {
        let mut stale = if by_stale { self.stale.take() } else { None };
        let epoch = stale.as_ref().map_or(self.rows.epoch, |(epoch, _)| *epoch);
        let key = command.unique_key();
        let first = key.as_ref().and_then(|(key, _)| self.rows.keys.get(&key.key));
        let verdict = match first {
            Some(first) => Verdict::Duplicate(first.to_string().into()),
            None => Verdict::New,
        };
        let is_new = verdict == Verdict::New;
        let of = match &command {
            Command::Deliver(deliver) => Some(deliver.delivery.id),
            _ => None,
        };
        let scheduler = stale.as_mut().map_or(&mut self.scheduler, |(_, scheduler)| scheduler);
        scheduler.tick(self.now, &mut self.entropy);
        let reply = scheduler.apply(self.now, command, verdict, &mut self.entropy);
        scheduler.settle(self.now, &mut self.entropy);
        let output = scheduler.take_output();
        let fenced = epoch < self.rows.epoch && !self.has(Fault::FenceOpen);
        if fate == Fate::Lost || fenced {
            // Its transaction wrote nothing; whoever led loads again, and whoever did not steps down.
            self.mark(if fenced { "fenced" } else { "lost" });
            if !fenced {
                self.restart();
            }
            return None;
        }
        if let (Some((key, _)), Some(id), true) = (key, of, is_new)
            && !self.has(Fault::KeyForgotten)
        {
            self.rows.keys.insert(key.key, id);
        }
        self.follow(&output.changes);
        self.rows.apply(output.changes, output.marks);
        self.check();
        if fate == Fate::Unheard {
            self.mark("unheard");
            return None;
        }
        Some(reply)
    }

    /// What was committed, as the world understands it: whatever starts must have been allowed to.
    fn follow(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::DeliveryAnswered(answered) = change
                && answered.state == DeliveryState::Planning
            {
                self.approved.insert(answered.id);
            }
            let Change::WorkloadInserted(row) = change else { continue };
            let id = row.delivery_id.expect("a delivery started it");
            let sent = &self.requests[&id];
            let allowed = !sent.stranger || self.approved.contains(&id);
            assert!(allowed, "delivery {id} of a stranger starts and nobody approved it");
            assert!(!self.denied.contains(&id), "delivery {id} was denied and starts");
            let starts = self.starts.entry(sent.external).or_default();
            *starts += 1;
            assert_eq!(*starts, 1, "request {} starts again", sent.external);
        }
    }

    /// The fourth law, and that no push waits whose place a newer one took.
    fn check(&self) {
        let mut snapshot = self.rows.snapshot(self.rows.epoch + 1);
        if self.has(Fault::HeldForgotten) {
            snapshot.held.clear();
        }
        let loaded = Scheduler::load(snapshot, self.settings.clone(), self.now);
        assert_eq!(loaded.durable(), self.scheduler.durable(), "memory follows from the rows");
        for id in self.rows.desk.which(DeliveryState::Held) {
            let held = &self.requests[&id];
            let newer = self.rows.desk.papers.keys().filter(|other| **other > id).find(|other| {
                let other = &self.requests[other];
                other.subject == held.subject && other.sha != held.sha
            });
            assert!(newer.is_none(), "delivery {id} waits after {newer:?}");
            let since_ms =
                self.rows.desk.papers[&id].approval.as_ref().unwrap().held_at_ms.unwrap();
            assert!(since_ms + EXPIRES_MS > self.now.wall_ms, "delivery {id} waits for too long");
        }
    }

    fn restart(&mut self) {
        self.rows.epoch += 1;
        let snapshot = self.rows.snapshot(self.rows.epoch);
        self.scheduler = Scheduler::load(snapshot, self.settings.clone(), self.now);
        drop(self.scheduler.take_output());
    }

    fn fate(&mut self) -> Fate {
        match self.dice.roll(12) {
            0 => Fate::Lost,
            1 => Fate::Unheard,
            _ => Fate::Heard,
        }
    }

    /// A push, or one whose sender heard nothing once more.
    fn push(&mut self, fate: Fate, again: bool) {
        let waits = self.unanswered.len() as u64;
        let at = (again && waits > 0).then(|| self.dice.roll(waits) as usize);
        let sent = match at {
            Some(at) => self.unanswered.remove(at),
            None => {
                self.next += 1;
                let (subject, sha) = (self.dice.roll(SUBJECTS), self.dice.roll(3));
                let stranger = !self.dice.once_in(3);
                Sent { external: self.next, subject, sha, stranger }
            }
        };
        self.next += 1;
        // An id of its own for each request, in the order in which they come.
        let id = DeliveryId(uuid::Uuid::from_u128(u128::from(self.next)));
        let deliver = self.deliver(id, &sent, false);
        self.requests.insert(id, sent.clone());
        let by_stale = self.stale.is_some() && self.dice.once_in(3);
        match self.batch(Command::Deliver(Box::new(deliver)), by_stale, fate) {
            Some(Ok(Reply::Delivered { duplicate, delivery_id, .. })) => {
                if duplicate {
                    self.mark("duplicate");
                    assert_eq!(self.requests[&delivery_id].external, sent.external);
                }
                self.accepted.insert(sent.external);
            }
            None => self.unanswered.push(sent),
            other => panic!("{other:?}"),
        }
    }

    /// An operator says something of what waits, or waited a moment ago.
    fn answer(&mut self, fate: Fate) {
        let all: Vec<_> = match self.dice.once_in(6) {
            true => self.rows.desk.papers.keys().copied().collect(),
            false => self.rows.desk.which(DeliveryState::Held),
        };
        if all.is_empty() {
            return;
        }
        let id = self.dice.pick(&all);
        let own = self.requests[&id].sha;
        let (approved, other) = (!self.dice.once_in(3), self.dice.once_in(5));
        let sha = format!("{:040x}", if other { own + 1 } else { own });
        let waits = self.rows.desk.papers[&id].state == DeliveryState::Held;
        let answer = HeldAnswer {
            delivery_id: id,
            approved,
            sha: Some(sha.into()),
            author: "ops".into(),
            reason: "".into(),
            limited_to: None,
        };
        let by_stale = self.stale.is_some() && self.dice.once_in(3);
        match self.batch(Command::AnswerHeld(Box::new(answer)), by_stale, fate) {
            Some(Ok(Reply::Done)) => {
                assert!(waits && !other, "delivery {id} was answered that does not wait for it");
                self.mark(if approved { "approved" } else { "denied" });
                if !approved {
                    self.denied.insert(id);
                }
            }
            Some(Err(Refusal::WrongState(_))) => self.mark("refused"),
            None => {}
            other => panic!("{other:?}"),
        }
    }

    /// A planner reads what was approved, and decides it later: perhaps under another leader, which it notices.
    fn plan(&mut self, fate: Fate) {
        let Some((epoch, id)) = self.read.take() else {
            let all = self.rows.desk.which(DeliveryState::Planning);
            self.read = (!all.is_empty()).then(|| (self.rows.epoch, self.dice.pick(&all)));
            return;
        };
        let goes_on = self.has(Fault::PlannerGoesOn);
        let planning = self.rows.desk.papers[&id].state == DeliveryState::Planning;
        if (epoch != self.rows.epoch || !planning) && !goes_on {
            self.mark("planner stopped");
            return;
        }
        let deliver = self.deliver(id, &self.requests[&id].clone(), true);
        if self.batch(Command::Deliver(Box::new(deliver)), false, fate).is_some() {
            self.mark("planned");
        }
        // What was read twice is decided twice by whoever does not look.
        if goes_on {
            self.read = Some((epoch, id));
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        let before = self.rows.desk.which(DeliveryState::Held).len();
        let resume = Command::Resume {
            scope: dispatchyard::model::PauseScope::Everything,
            author: "ops".into(),
        };
        self.batch(resume, false, Fate::Heard);
        if self.rows.desk.which(DeliveryState::Held).len() < before {
            self.mark("expired");
        }
    }

    fn step(&mut self) {
        let fate = self.fate();
        match self.dice.roll(20) {
            0..=6 => self.push(fate, false),
            7 | 8 => self.push(fate, true),
            9..=11 => self.answer(fate),
            12..=15 => self.plan(fate),
            16 => {
                self.mark("restart");
                self.restart();
            }
            17 => {
                // Another instance takes over, and this one has not heard of it.
                self.stale = Some((self.rows.epoch, self.scheduler.clone()));
                self.mark("taken over");
                self.restart();
            }
            _ => {
                let ms = self.dice.pick(&[1, 50, 900]);
                self.pass(ms);
            }
        }
    }

    /// After the last trouble: senders ask until they are answered, operators look at all, planners work it off.
    fn run_dry(&mut self) {
        self.stale = None;
        while !self.unanswered.is_empty() {
            self.push(Fate::Heard, true);
        }
        for _ in 0..10 * self.rows.desk.papers.len() {
            if self.rows.desk.which(DeliveryState::Held).is_empty() {
                break;
            }
            self.answer(Fate::Heard);
        }
        self.read = None;
        for _ in 0..3 * self.rows.desk.papers.len() {
            if !self.has(Fault::NotTakenUp) {
                self.plan(Fate::Heard);
            }
        }
        for external in &self.accepted {
            let ids = self.requests.iter().filter(|(_, sent)| sent.external == *external);
            let papers = ids.filter_map(|(id, _)| Some((*id, self.rows.desk.papers.get(id)?)));
            let papers: Vec<_> = papers.collect();
            let [(id, paper)] = papers.as_slice() else { panic!("{external} has {papers:?}") };
            let starts = self.starts.get(external).copied().unwrap_or(0);
            let wanted = !self.requests[id].stranger || self.approved.contains(id);
            assert_eq!(starts, u32::from(wanted), "delivery {id}: {paper:?}");
            assert_eq!(paper.started.len() as u32, starts, "delivery {id}: {paper:?}");
            let ended = matches!(paper.state, DeliveryState::Dispatched | DeliveryState::Ignored);
            assert!(ended, "delivery {id} was accepted and is lost: {paper:?}");
        }
    }
}

fn play(seed: u64, fault: Option<Fault>) -> Seen {
    let mut world = World::new(seed, fault);
    for _ in 0..STEPS {
        world.step();
    }
    world.run_dry();
    world.seen
}

#[test]
fn nothing_that_is_held_is_lost_or_starts_twice_or_unapproved() {
    let wanted = [
        "approved",
        "denied",
        "refused",
        "planned",
        "planner stopped",
        "expired",
        "duplicate",
        "restart",
        "taken over",
        "fenced",
        "lost",
        "unheard",
    ];
    all_keep_the_laws(WORLDS, &wanted, |seed| play(seed, None));
}

#[test]
fn each_fault_that_is_planted_among_held_deliveries_is_noticed() {
    each_is_noticed(&FAULTS, |seed, fault| play(seed, Some(fault)));
}

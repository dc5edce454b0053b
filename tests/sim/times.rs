//! Worlds of schedules, long because a world is one thing: clocks that run, jump and go back, pauses, servers that
//! start again or are another one, batches that are lost before anybody heard of them, and keepers that acted on
//! what they had read long before.
//!
//! What is to be done is asked of the real schedules, and decided by the real scheduler. The world knows by itself when
//! each time is, and holds what came against that: no time comes twice or early, and each policy makes good what it
//! promises to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dispatchyard::dispatch::{
    Command, Deliver, Fire, Refusal, Reply, Scheduler, Settings, Verdict,
};
use dispatchyard::intake::Rules;
use dispatchyard::model::{
    Body, Catalogue, Change, Delivery, DeliveryId, DeliveryState, KeyScope, Now, Pause, PauseScope,
    Plan, ScheduleMark, TenantId, Trust, UniqueKey,
};
use dispatchyard::trigger::schedule::{ON_TIME_MS, Standing, Step};
use dispatchyard::trigger::{RuleConfig, Timed};
use dispatchyard::workflow::{Defaults, File};

use crate::dice::Dice;
use crate::many::{Seen, all_keep_the_laws, each_is_noticed};
use crate::rows::Rows;

const WORLDS: u64 = 150;
const STEPS: usize = 120;
const MINUTE_MS: i64 = 60_000;
/// All schedules come so often.
const EVERY_MS: i64 = 60 * MINUTE_MS;
/// Further back than this a clock was wrong before.
const FAR_MS: i64 = 25 * EVERY_MS;
/// A moment at which none does.
const BEGIN_MS: i64 = 480_000 * EVERY_MS + 12_345;
const POLICIES: [&str; 3] = ["skip", "once", "all"];

/// What goes wrong in a world that must fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Keys of times are not kept.
    KeyForgotten,
    /// How far a schedule is handled is not written.
    MarkForgotten,
    /// Times come before they are due.
    Early,
    /// What was missed is passed over whatever the policy says.
    MissedDropped,
    /// A keeper handles a time and starts nothing.
    NotFired,
}

const FAULTS: [Fault; 5] = [
    Fault::KeyForgotten,
    Fault::MarkForgotten,
    Fault::Early,
    Fault::MissedDropped,
    Fault::NotFired,
];

struct World {
    scheduler: Scheduler,
    stale: Option<(i64, Scheduler)>,
    settings: Settings,
    rules: Rules,
    rows: Rows,
    dice: Dice,
    entropy: Dice,
    now: Now,
    fault: Option<Fault>,
    /// Whether its clock goes back by days, too: then times count anew, and the keys alone keep them single.
    wild: bool,
    next: u128,
    /// What a keeper is about to send.
    pending: Option<Fire>,
    /// What came of each policy.
    came: BTreeMap<String, BTreeSet<i64>>,
    seen: Seen,
}

fn rules() -> Rules {
    #[derive(serde::Deserialize)]
    struct Config {
        trigger: Vec<RuleConfig>,
    }
    let rule = |policy: &str| {
        let time = format!("{{ cron = '0 * * * *', missed = '{policy}' }}");
        format!(
            "[[trigger]]\nname = '{policy}'\nworkflow = 'build'\non = {{ schedule = [{time}] }}\n"
        )
    };
    let config: Config = toml::from_str(&POLICIES.map(rule).concat()).unwrap();
    let file = "jobs:\n  one: { runs-on: x, steps: [{ run: ls }] }\n";
    let file = File::parse("build.yml", file, Default::default()).unwrap();
    let workflows = BTreeMap::from([("build".to_owned(), file)]);
    let catalogue = Arc::new(Catalogue::default());
    Rules::compile(&config.trigger, workflows, Defaults::default(), catalogue).unwrap()
}

impl World {
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let (settings, now) = (Settings::default(), Now { mono_ms: 1, wall_ms: BEGIN_MS });
        let rows = Rows { epoch: 1, ..Rows::default() };
        Self {
            scheduler: Scheduler::load(rows.snapshot(1), settings.clone(), now),
            stale: None,
            settings,
            rules: rules(),
            rows,
            dice: Dice(seed),
            entropy: Dice(seed ^ 0x71e5),
            now,
            fault,
            wild: seed % 2 == 1,
            next: 1,
            pending: None,
            came: POLICIES.map(|policy| (policy.to_owned(), BTreeSet::new())).into(),
            seen: Seen::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn mark(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn batch(
        &mut self,
        command: Command,
        by_stale: bool,
        lost: bool,
    ) -> Option<Result<Reply, Refusal>> {
        let mut stale = if by_stale { self.stale.take() } else { None };
        let epoch = stale.as_ref().map_or(self.rows.epoch, |(epoch, _)| *epoch);
        let claimed = command.unique_key();
        let first = claimed.as_ref().and_then(|(key, _)| self.rows.keys.get(&key.key));
        let verdict =
            first.map_or(Verdict::New, |first| Verdict::Duplicate(first.to_string().into()));
        let is_new = verdict == Verdict::New;
        let scheduler = stale.as_mut().map_or(&mut self.scheduler, |(_, scheduler)| scheduler);
        scheduler.tick(self.now, &mut self.entropy);
        let reply = scheduler.apply(self.now, command, verdict, &mut self.entropy);
        scheduler.settle(self.now, &mut self.entropy);
        let mut output = scheduler.take_output();
        if epoch < self.rows.epoch {
            self.mark("fenced");
            return None;
        }
        if lost {
            self.mark("lost");
            self.restart();
            return None;
        }
        if self.has(Fault::MarkForgotten) {
            output.changes.retain(|it| !matches!(it, Change::ScheduleKept(_)));
        }
        if let (Some((key, id)), true) = (claimed, is_new)
            && !self.has(Fault::KeyForgotten)
            && reply.is_ok()
        {
            self.rows.keys.insert(key.key, id.parse().unwrap());
        }
        self.follow(&output.changes);
        self.rows.apply(output.changes, output.marks);
        let loaded = Scheduler::load(self.rows.snapshot(9), self.settings.clone(), self.now);
        assert_eq!(loaded.durable(), self.scheduler.durable(), "memory follows from the rows");
        Some(reply)
    }

    /// What came, as the world understands it.
    fn follow(&mut self, changes: &[Change]) {
        for change in changes {
            let Change::DeliveryInserted(row) = change else { continue };
            let id = row.external_id.as_deref().unwrap();
            let (policy, at_ms) = id.split_once(' ').unwrap();
            let at_ms: i64 = at_ms.parse().unwrap();
            assert_eq!(at_ms % EVERY_MS, 0, "{id} is no time");
            // By the clock of whoever decided it: a command may be on its way while that is set.
            let late_ms = row.received_at_ms - at_ms;
            assert!(late_ms >= 0, "{id} comes before it is due");
            assert!(policy != "skip" || late_ms <= ON_TIME_MS, "{id} comes {late_ms} ms late");
            let came = self.came.get_mut(policy).unwrap();
            assert!(came.insert(at_ms), "{id} comes again");
        }
    }

    fn restart(&mut self) {
        self.rows.epoch += 1;
        let snapshot = self.rows.snapshot(self.rows.epoch);
        self.scheduler = Scheduler::load(snapshot, self.settings.clone(), self.now);
        drop(self.scheduler.take_output());
    }

    /// What a keeper does about one schedule at one look; `None` when it waits.
    fn decide(&mut self, timed: &Timed, trigger: &str) -> Option<Fire> {
        let marks = self.scheduler.schedules();
        let mark = marks.into_iter().find(|mark| *mark.name == *timed.name);
        let now_ms = self.now.wall_ms;
        let definition = timed.schedule.definition();
        let Some(mark) = mark else {
            let mark = ScheduleMark::begin(&timed.name, &definition, now_ms);
            return Some(Fire { mark, after_ms: None, deliver: None });
        };
        let after_ms = Some(mark.handled_ms);
        let scope = PauseScope::Trigger(trigger.into());
        let early_ms = if self.has(Fault::Early) { 2 * MINUTE_MS } else { 0 };
        let standing = Standing {
            handled_ms: mark.handled_ms,
            now_ms: now_ms + early_ms,
            is_paused: self.scheduler.pauses().iter().any(|pause| pause.scope == scope),
            missed_max: 1_000_000,
        };
        let pass = |through_ms| {
            let mark = ScheduleMark { handled_ms: through_ms, ..mark.clone() };
            Some(Fire { mark, after_ms, deliver: None })
        };
        match timed.step(standing) {
            Step::Wait(_) => None,
            Step::Held(_) => {
                self.mark("held by a pause");
                None
            }
            Step::Restart => {
                self.mark("counted anew");
                pass(now_ms)
            }
            Step::Pass { through_ms, .. } => {
                self.mark("passed over");
                pass(through_ms)
            }
            Step::Fire { at_ms, was_missed } => {
                self.mark(if was_missed { "made good" } else { "came" });
                let dropped = self.has(Fault::NotFired) && self.dice.once_in(5)
                    || self.has(Fault::MissedDropped) && was_missed;
                if dropped {
                    return pass(at_ms);
                }
                let deliver = self.deliver(trigger, at_ms);
                let mark = ScheduleMark { handled_ms: at_ms, fired_ms: Some(at_ms), ..mark };
                Some(Fire { mark, after_ms, deliver: Some(Box::new(deliver)) })
            }
        }
    }

    fn deliver(&mut self, trigger: &str, at_ms: i64) -> Deliver {
        self.next += 1;
        let delivery = Delivery {
            id: DeliveryId(uuid::Uuid::from_u128(self.next)),
            source: "schedule".into(),
            external_id: Some(format!("{trigger} {at_ms}").into()),
            event_kind: "schedule".into(),
            action: None,
            state: DeliveryState::Dispatched,
            reason: None,
            verdicts: Vec::new(),
            trust: Trust::default(),
            tenant_id: TenantId::DEFAULT,
            replay_of: None,
            attempts: 1,
            received_at_ms: self.now.wall_ms,
            headers: "{}".into(),
            event: None,
            traceparent: None,
            approval: None,
            body: Body::Inline(Vec::new().into()),
        };
        let key = UniqueKey { scope: KeyScope::Schedule, key: format!("{trigger}/{at_ms}").into() };
        let (plan, ended) = (Plan::default(), Vec::new());
        Deliver { delivery, plan, key: Some(key), ended, adopted: false, about: None }
    }

    fn send(&mut self, fire: Fire, by_stale: bool, lost: bool) {
        match self.batch(Command::Fire(Box::new(fire)), by_stale, lost) {
            Some(Ok(Reply::Delivered { duplicate: true, .. })) => self.mark("had come"),
            Some(Err(Refusal::WrongState(_))) => self.mark("was handled"),
            Some(Ok(_)) | None => {}
            other => panic!("{other:?}"),
        }
    }

    /// One look of a keeper at all schedules; with what it decides of one of them it may be late.
    fn look(&mut self, lost: bool) -> bool {
        let times: Vec<_> =
            self.rules.times().map(|(name, it)| (name.to_owned(), it.clone())).collect();
        let mut acted = false;
        for (trigger, timed) in times {
            let Some(fire) = self.decide(&timed, &trigger) else { continue };
            acted = true;
            if self.pending.is_none() && self.dice.once_in(10) {
                self.pending = Some(fire);
            } else {
                let lost = lost && self.dice.once_in(3);
                self.send(fire, false, lost);
            }
        }
        acted
    }

    fn pause(&mut self) {
        let scope = PauseScope::Trigger(self.dice.pick(&POLICIES).into());
        let paused = self.scheduler.pauses().iter().any(|pause| pause.scope == scope);
        let author = "ops".into();
        let command = match paused {
            true => Command::Resume { scope, author },
            false => {
                let (reason, at_ms) = ("".into(), self.now.wall_ms);
                Command::Pause(Pause { scope, author, reason, at_ms, breaker: None })
            }
        };
        self.batch(command, false, false);
    }

    fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
    }

    fn step(&mut self) {
        match self.dice.roll(24) {
            0..=9 => {
                let lost = self.dice.once_in(5);
                self.look(lost);
            }
            10..=16 => {
                let ms = self.dice.pick(&[300, 20_000, 10 * MINUTE_MS, 50 * MINUTE_MS, EVERY_MS]);
                self.pass(ms);
            }
            17 => {
                self.mark("clock ahead");
                let far = if self.wild { FAR_MS } else { 5 * EVERY_MS };
                self.now.wall_ms += self.dice.pick(&[7 * MINUTE_MS, 63 * MINUTE_MS, far]);
            }
            18 => {
                self.mark("clock back");
                let far = if self.wild { FAR_MS } else { MINUTE_MS };
                self.now.wall_ms -= self.dice.pick(&[1_000, 70 * MINUTE_MS, far]);
            }
            19 => self.pause(),
            20 => {
                self.mark("restart");
                self.restart();
            }
            21 => {
                self.stale = Some((self.rows.epoch, self.scheduler.clone()));
                self.mark("taken over");
                self.restart();
            }
            _ => {
                // What was decided of an older state, sent by whoever leads or by one that did.
                if let Some(fire) = self.pending.take() {
                    self.mark("sent late");
                    let by_stale = self.stale.is_some() && self.dice.once_in(2);
                    self.send(fire, by_stale, false);
                }
            }
        }
    }

    /// After the last trouble: no pause, a clock that runs, and a keeper that looks.
    fn run_dry(&mut self) {
        (self.stale, self.pending) = (None, None);
        for policy in POLICIES {
            let scope = PauseScope::Trigger(policy.into());
            if self.scheduler.pauses().iter().any(|pause| pause.scope == scope) {
                self.batch(Command::Resume { scope, author: "ops".into() }, false, false);
            }
        }
        let handled = self.scheduler.schedules().iter().map(|mark| mark.handled_ms).max();
        let from_ms = self.now.wall_ms.max(handled.unwrap_or(self.now.wall_ms));
        // Past what was handled by a clock that was ahead, and over two times more.
        let until_ms = from_ms + 2 * EVERY_MS + 1;
        loop {
            for _ in 0..10_000 {
                if !self.look(false) {
                    break;
                }
                self.pending = None;
            }
            if self.now.wall_ms >= until_ms {
                break;
            }
            self.pass(MINUTE_MS / 2);
        }
        if self.wild {
            return;
        }
        let newest_ms = self.now.wall_ms / EVERY_MS * EVERY_MS;
        for policy in POLICIES {
            assert!(self.came[policy].contains(&newest_ms), "the newest time of {policy} came");
        }
        let first_ms = self.came["all"].first().copied().unwrap();
        let all = (first_ms..=newest_ms).step_by(EVERY_MS as usize);
        let lost: Vec<_> = all.filter(|at_ms| !self.came["all"].contains(at_ms)).collect();
        assert!(lost.is_empty(), "times that never came: {lost:?}");
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
fn a_time_comes_once_and_what_is_missed_is_made_good_as_it_is_said() {
    let wanted = [
        "came",
        "made good",
        "passed over",
        "held by a pause",
        "counted anew",
        "had come",
        "was handled",
        "clock ahead",
        "clock back",
        "restart",
        "taken over",
        "fenced",
        "lost",
        "sent late",
    ];
    all_keep_the_laws(WORLDS, &wanted, |seed| play(seed, None));
}

#[test]
fn each_fault_that_is_planted_among_times_is_noticed() {
    each_is_noticed(&FAULTS, |seed, fault| play(seed, Some(fault)));
}

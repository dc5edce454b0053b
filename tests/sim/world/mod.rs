//! Senders, runners, operators and faults, played against the real scheduler.
//!
//! One step is one thing that happens, followed by every check. A batch is what the driver does:
//! tick, apply, settle, commit, speak. What follows from a batch is compared with what the naive
//! matcher chooses.

mod checks;
mod decisions;
mod end;
mod explained;
mod jobs;
mod judge;
mod leases;
mod observe;
mod operators;
mod past;
mod rare;
mod runners;
mod senders;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use dispatchyard::dispatch::{Command, Output, Refusal, Reply, Settings, Verdict};
use dispatchyard::model::{
    AssignedJob, ClassId, JobId, LeaseToken, Now, RecordName, RunnerId, TenantId,
};
use dispatchyard::runner::PollId;

use crate::dice::Dice;
use crate::faulty::{Core, Fault};
use crate::known::Known;
use crate::naive::{Decision, Naive};
use crate::reached::Reached;
use crate::rows::Rows;
use crate::setup;

/// A runner's process, as it sees itself.
#[derive(Default)]
struct Process {
    id: Option<RunnerId>,
    boot: u8,
    /// What it was answered; it may have been taken away since.
    held: Vec<AssignedJob>,
    /// What it once held.
    stale: Vec<AssignedJob>,
}

pub(crate) use past::key_of;

pub(crate) struct World {
    scheduler: Core,
    settings: Settings,
    rows: Rows,
    /// The scheduler's own chance.
    entropy: Dice,
    /// Chance of what happens.
    dice: Dice,
    now: Now,
    processes: Vec<Process>,
    polls: BTreeMap<PollId, (usize, RunnerId)>,
    next_poll: u64,
    known: Known,
    /// The checker's own view of live attempts: never the product's.
    live: BTreeMap<JobId, LeaseToken>,
    ended: BTreeSet<(JobId, u32)>,
    /// Jobs of which something that they need was seen to fail while they were blocked.
    failures: BTreeSet<JobId>,
    tokens: BTreeSet<LeaseToken>,
    /// When attempts end by themselves.
    dues: BTreeMap<JobId, leases::Due>,
    /// Jobs whose runners were lost, until that is judged.
    lost: BTreeSet<JobId>,
    /// How often a job that failed was to wait before its next try, and how often it hardly did.
    backoffs: (u32, u32),
    /// Jobs that a quota kept back at the last match, and which.
    closed: BTreeMap<JobId, &'static str>,
    /// What tenants were charged for jobs that runners have.
    charges: BTreeMap<JobId, u64>,
    /// Time of runners that each tenant was charged, by the checker's own sums.
    used_ms: BTreeMap<TenantId, u64>,
    /// In worlds where what is old is forgotten.
    past: Option<past::Past>,
    /// In worlds where jobs have conditions.
    conditions: Option<decisions::Conditions>,
    /// All that was ever written and said, in one number; absent where nobody asks for it.
    history: Option<DefaultHasher>,
    pub(crate) reached: Reached,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_fault(seed, None)
    }

    /// A world in which something goes wrong.
    pub(crate) fn with_fault(seed: u64, fault: Option<Fault>) -> Self {
        Self::with(seed, fault, |_| {})
    }

    /// A world in which something goes wrong, or some things are set otherwise.
    pub(crate) fn with(seed: u64, fault: Option<Fault>, set: impl FnOnce(&mut Settings)) -> Self {
        let mut dice = Dice(!seed);
        let mut settings = setup::settings(&mut dice);
        set(&mut settings);
        let rows = Rows { epoch: 1, ..Rows::default() };
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        Self {
            scheduler: Core::load(rows.snapshot(1), settings.clone(), now, fault),
            known: Known::loaded(&rows, now),
            settings,
            rows,
            entropy: Dice(seed),
            dice,
            now,
            processes: (0..setup::PROCESSES).map(|_| Process::default()).collect(),
            polls: BTreeMap::new(),
            next_poll: 1,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            failures: BTreeSet::new(),
            tokens: BTreeSet::new(),
            dues: BTreeMap::new(),
            lost: BTreeSet::new(),
            backoffs: (0, 0),
            closed: BTreeMap::new(),
            charges: BTreeMap::new(),
            used_ms: BTreeMap::new(),
            past: None,
            conditions: None,
            history: None,
            reached: Reached::default(),
        }
    }

    /// As [`World::new`], and remembers all that is written and said.
    pub(crate) fn remembering(seed: u64) -> Self {
        Self { history: Some(DefaultHasher::new()), ..Self::new(seed) }
    }

    /// The same world, with deliveries, and in which what is old is forgotten.
    pub(crate) fn with_past(self) -> Self {
        Self { past: Some(past::Past::new(self.entropy.0)), ..self }
    }

    /// The same world, in which jobs have conditions.
    pub(crate) fn with_conditions(self) -> Self {
        Self { conditions: Some(decisions::Conditions::new(self.entropy.0)), ..self }
    }

    /// The number of everything that was written and said.
    pub(crate) fn history(&self) -> u64 {
        self.history.as_ref().map_or(0, Hasher::finish)
    }

    /// One thing happens, then everything is checked.
    pub(crate) fn step(&mut self) {
        let process = self.dice.roll(setup::PROCESSES as u64) as usize;
        match self.dice.roll(44) {
            40..=42 => self.join(),
            43 => self.close(),
            0..=6 => self.submit(),
            7 | 8 => self.register(process),
            9..=17 => self.poll(process),
            18 => self.crowd(),
            19..=21 => self.start(process),
            22..=24 => self.complete(process),
            25 => self.heartbeat(process),
            26 => self.release(process),
            27 => self.cancel(),
            28 => self.requeue_or_retry(),
            29 => match self.dice.once_in(5) {
                true => self.operate_model(process),
                false => self.operate(process),
            },
            30 => self.reorder(),
            31 | 32 => self.pause_or_resume(),
            33..=35 => self.time_passes(),
            36 => self.clocks_part(),
            37 => match self.dice.once_in(4) {
                true => self.guess(process),
                false => self.stale(process),
            },
            38 => self.client_leaves(process),
            _ => self.trouble(),
        }
        self.past_goes_on();
        self.conditions_go_on();
        self.check();
    }

    fn send(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.send_as(command, Verdict::New)
    }

    /// A command whose key was found so.
    fn send_as(&mut self, command: Command, verdict: Verdict) -> Result<Reply, Refusal> {
        self.begin();
        let reply = self.apply_as(command, verdict);
        self.finish(false);
        reply
    }

    /// A batch without commands: only time has passed.
    fn idle_batch(&mut self) {
        self.begin();
        self.finish(true);
    }

    fn begin(&mut self) {
        self.scheduler.tick(self.now, &mut self.entropy);
        if self.known.holds_due(self.now) > 0 {
            self.reached.mark("hold missed");
        }
        self.commit();
        self.check_dues();
    }

    fn apply(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.apply_as(command, Verdict::New)
    }

    fn apply_as(&mut self, command: Command, verdict: Verdict) -> Result<Reply, Refusal> {
        let before = self.scheduler.durable();
        let about = command.clone();
        let reply = self.scheduler.apply_as(self.now, command, verdict, &mut self.entropy);
        if let Ok(reply) = &reply {
            self.learn(&about, reply, &before);
        }
        self.commit();
        reply
    }

    /// Writes what was decided, speaks, and follows it.
    fn commit(&mut self) {
        let output = self.scheduler.take_output();
        if let Some(history) = &mut self.history {
            format!("{output:?}").hash(history);
        }
        self.write(output);
    }

    /// Commits what was decided, then speaks.
    fn write(&mut self, output: Output) {
        self.observe(&output);
        let before = self.rows.apply(output.changes, output.marks);
        self.deliver(output.answers);
        self.follow(&before);
        self.follow_undecided();
    }

    fn finish(&mut self, idle: bool) {
        let shares = self.scheduler.share_usage();
        self.scheduler.settle(self.now, &mut self.entropy);
        let output = self.scheduler.take_output();
        let decided = output.records.iter().filter_map(|record| match record.name {
            RecordName::JobAssigned => {
                Some(Decision::Give(record.job_id.unwrap(), record.runner_id.unwrap()))
            }
            RecordName::JobHeld => {
                let runner = RunnerId(record.detail.parse().expect("the runner's number"));
                Some(Decision::Hold(record.job_id.unwrap(), runner))
            }
            _ => None,
        });
        let decided: Vec<_> = decided.collect();
        let known = self.known.clone();
        let mut naive = Naive::new(&self.rows, &self.settings, self.now, known, shares);
        naive.guide.clone_from(&decided);
        let reached = rare::before(&naive);
        let ready = naive.known.ready.keys();
        let closed = ready.filter_map(|id| Some((*id, naive.quota(naive.job(*id))?)));
        let closed: BTreeMap<_, _> = closed.collect();
        let expected = naive.decide();
        let (known, units) = (naive.known.clone(), naive.units.clone());
        for what in reached {
            self.reached.mark(what);
        }
        assert_eq!(decided, expected, "the naive matcher (right) chooses otherwise");
        self.note_decisions(&decided, &closed, idle);
        self.closed.extend(closed);
        self.known = known;
        if let Some(history) = &mut self.history {
            format!("{output:?}").hash(history);
        }
        self.write(output);
        assert_eq!(self.naive().units, units, "units of resources are taken otherwise");
    }

    /// How long runs of each class are expected to take.
    fn told(&self) -> BTreeMap<ClassId, i64> {
        let classes = self.rows.classes.keys();
        classes.map(|id| (*id, self.scheduler.expected_run_ms(*id))).collect()
    }

    fn naive(&self) -> Naive<'_> {
        let shares = self.scheduler.share_usage();
        Naive::new(&self.rows, &self.settings, self.now, self.known.clone(), shares)
    }
}

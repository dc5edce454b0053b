//! A yard under virtual time: the real scheduler, runners that poll, start, renew and complete, and
//! jobs that take as long as a rule says.
//!
//! A batch is what the driver does: tick, apply, settle, speak. Nothing is written, and an answer
//! reaches its runner in the instant in which it is given.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use dispatchyard::dispatch::{
    Command, HeldLease, Poll, Register, Reply, Scheduler, Settings, Verdict,
};
use dispatchyard::model::{
    AssignedJob, AttemptOutcome, JobId, JobPriority, JobResult, JobSpec, JobStateKind, JobTerms,
    JobWork, LeaseRef, Now, PlannedJob, PlannedWorkload, PoolId, RetryPolicy, RunnerCapabilities,
    RunnerId, RunnerRequirements, Snapshot, TenantId, Trust, WorkloadKind,
};
use dispatchyard::runner::PollId;

use crate::dice::Dice;

/// How often a runner with jobs renews its leases.
const HEARTBEAT_MS: i64 = 20_000;
/// Virtual time begins here (wall), at 0 (mono).
const BEGUN_AT_MS: i64 = 1_700_000_000_000;

/// What a job is to the world; the scheduler is told all but how long it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Work {
    /// Whose it is.
    pub(crate) tenant_id: TenantId,
    /// How urgent it is.
    pub(crate) priority: JobPriority,
    /// Which label it requires; jobs that require the same are of one class.
    pub(crate) class: usize,
    /// On a sound runner that has no other job.
    pub(crate) takes_ms: i64,
    /// How long it should wait at most.
    pub(crate) max_wait_ms: Option<i64>,
    /// In what time after its submission it should have ended.
    pub(crate) deadline_in_ms: Option<i64>,
}

impl Work {
    /// A job of the default tenant that promises nothing.
    pub(crate) fn new(priority: JobPriority, takes_ms: i64) -> Self {
        Self {
            tenant_id: TenantId::DEFAULT,
            priority,
            class: 0,
            takes_ms,
            max_wait_ms: None,
            deadline_in_ms: None,
        }
    }
}

/// What became of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Course {
    pub(crate) work: Work,
    pub(crate) queued_ms: i64,
    /// When it was first given to a runner.
    pub(crate) begun_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    /// Its last runner.
    pub(crate) runner: usize,
}

impl Course {
    /// From the queue to a runner; `None` while it waits.
    pub(crate) fn wait_ms(&self) -> Option<i64> {
        Some(self.begun_ms? - self.queued_ms)
    }

    /// From the queue to its end.
    pub(crate) fn completion_ms(&self) -> Option<i64> {
        Some(self.ended_ms? - self.queued_ms)
    }
}

/// How a class of jobs runs on a runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Nature {
    /// Time in percent of that on a sound runner.
    pub(crate) percent: i64,
    /// Of a hundred runs, those that fail halfway.
    pub(crate) failing: u64,
}

impl Nature {
    pub(crate) const SOUND: Self = Self { percent: 100, failing: 0 };
}

/// What is peculiar about runners, by runner and class.
pub(crate) type Natures = fn(runner: usize, class: usize) -> Nature;

/// What a yard is made of.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) runners: usize,
    pub(crate) slots: u32,
    pub(crate) classes: usize,
    pub(crate) natures: Natures,
    pub(crate) seed: u64,
}

/// What happens by itself, apart from what the scheduler has to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    End { runner: usize, job_id: JobId, fails: bool },
    Heartbeat { runner: usize },
}

struct Runner {
    id: RunnerId,
    slots: usize,
    held: BTreeMap<JobId, AssignedJob>,
    parked: bool,
    beats: bool,
}

/// Senders' and runners' side of a scheduler.
pub(crate) struct Yard {
    scheduler: Scheduler,
    natures: Natures,
    /// The scheduler's own chance, and that of runs which may fail.
    dice: (Dice, Dice),
    now: Now,
    runners: Vec<Runner>,
    polls: BTreeMap<PollId, usize>,
    polls_made: u64,
    events: BinaryHeap<Reverse<(i64, Event)>>,
    /// Something was submitted and not matched yet.
    unsettled: bool,
    courses: BTreeMap<JobId, Course>,
    /// Jobs that were never given to a runner.
    waiting: BTreeMap<(TenantId, JobPriority), usize>,
    spec: Arc<JobSpec>,
}

impl Yard {
    /// All runners are registered, and wait.
    pub(crate) fn new(plan: Plan) -> Self {
        let now = Now { mono_ms: 0, wall_ms: BEGUN_AT_MS };
        let spec = JobSpec {
            work: JobWork::Steps(Vec::new()),
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        };
        let mut yard = Self {
            scheduler: Scheduler::load(Snapshot::default(), plan.settings, now),
            natures: plan.natures,
            dice: (Dice(plan.seed), Dice(!plan.seed)),
            now,
            runners: Vec::new(),
            polls: BTreeMap::new(),
            polls_made: 0,
            events: BinaryHeap::new(),
            unsettled: false,
            courses: BTreeMap::new(),
            waiting: BTreeMap::new(),
            spec: Arc::new(spec),
        };
        for number in 0..plan.runners {
            yard.register(number, plan.slots, plan.classes);
        }
        for runner in 0..plan.runners {
            yard.poll(runner);
        }
        yard.settle();
        yard
    }

    fn register(&mut self, number: usize, slots: u32, classes: usize) {
        let register = Register {
            name: format!("runner-{number}").into(),
            instance_id: format!("instance-{number}").into(),
            boot_id: "boot".into(),
            pool_id: PoolId::DEFAULT,
            token_hash: "hash".into(),
            capabilities: RunnerCapabilities {
                labels: (0..classes).map(label).collect(),
                max_parallel_jobs: slots,
                ..RunnerCapabilities::default()
            },
            version: "soak".into(),
            ordered: None,
        };
        let reply = self.apply(Command::Register(Box::new(register)));
        let Reply::Registered(id) = reply else { panic!("{reply:?}") };
        let (held, slots) = (BTreeMap::new(), slots as usize);
        self.runners.push(Runner { id, slots, held, parked: false, beats: false });
    }

    fn apply(&mut self, command: Command) -> Reply {
        let reply = self.scheduler.apply(self.now, command, Verdict::New, &mut self.dice.0);
        reply.expect("nobody asks for what cannot be")
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now.mono_ms
    }

    /// Jobs of a tenant at a level that were never given to a runner.
    pub(crate) fn waiting(&self, tenant_id: TenantId, priority: JobPriority) -> usize {
        self.waiting.get(&(tenant_id, priority)).copied().unwrap_or(0)
    }

    /// What became of each job so far, in the order of submission.
    pub(crate) fn courses(&self) -> impl Iterator<Item = &Course> {
        self.courses.values()
    }

    /// A job comes; it is matched with the next step.
    pub(crate) fn submit(&mut self, work: Work) {
        let wall_ms = self.now.wall_ms;
        let job = PlannedJob {
            name: "job".into(),
            needs: Vec::new(),
            requirements: RunnerRequirements {
                labels: vec![label(work.class)],
                ..RunnerRequirements::default()
            },
            priority: work.priority,
            timeout_ms: 24 * 3_600_000,
            // More than any job needs: each is to complete.
            retry: RetryPolicy { max_retries: 50, backoff_ms: 1_000 },
            not_before_ms: 0,
            terms: JobTerms {
                max_wait_ms: work.max_wait_ms,
                deadline_ms: work.deadline_in_ms.map(|ms| wall_ms + ms),
                ..JobTerms::default()
            },
            spec: Arc::clone(&self.spec),
        };
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "soak".into(),
            trigger: String::new(),
            tenant_id: work.tenant_id,
            session: None,
            terms: Default::default(),
            open: false,
            jobs: vec![job],
        };
        let reply = self.apply(Command::Submit {
            workload: Box::new(workload),
            idempotency_key: None,
            ended: Vec::new(),
        });
        let Reply::Submitted { workload_id, .. } = reply else { panic!("{reply:?}") };
        // Each workload has one job, so both are counted alike.
        let id = JobId(workload_id.0);
        let queued_ms = self.now.mono_ms;
        let course = Course { work, queued_ms, begun_ms: None, ended_ms: None, runner: 0 };
        self.courses.insert(id, course);
        *self.waiting.entry((work.tenant_id, work.priority)).or_default() += 1;
        self.unsettled = true;
    }

    /// The next thing happens, if that is at `until_ms` at the latest; otherwise it is `until_ms`
    /// now. Whether anything happened.
    pub(crate) fn step(&mut self, until_ms: i64) -> bool {
        let at_ms = self.next_ms().filter(|at_ms| *at_ms <= until_ms);
        let passed_ms = at_ms.unwrap_or(until_ms) - self.now.mono_ms;
        self.now.mono_ms += passed_ms;
        self.now.wall_ms += passed_ms;
        if at_ms.is_none() {
            return false;
        }
        self.scheduler.tick(self.now, &mut self.dice.0);
        while let Some(&Reverse((at_ms, event))) = self.events.peek()
            && at_ms <= self.now.mono_ms
        {
            self.events.pop();
            match event {
                Event::End { runner, job_id, fails } => self.end(runner, job_id, fails),
                Event::Heartbeat { runner } => self.heartbeat(runner),
            }
        }
        self.settle();
        true
    }

    /// Everything happens that does until then.
    pub(crate) fn run_until(&mut self, until_ms: i64) {
        while self.step(until_ms) {}
    }

    /// Whether each job has ended.
    pub(crate) fn is_idle(&self) -> bool {
        !self.unsettled && self.courses.values().all(|course| course.ended_ms.is_some())
    }

    /// Time passes until each job has ended, in ten days at the latest.
    pub(crate) fn run_dry(&mut self) {
        let late_ms = self.now.mono_ms + 10 * 24 * 3_600_000;
        while self.now.mono_ms < late_ms && !self.is_idle() {
            // Whether all ended is a look at each, so a minute at a time.
            self.run_until(self.now.mono_ms + 60_000);
        }
        assert!(self.is_idle(), "a job did not end");
    }

    fn next_ms(&self) -> Option<i64> {
        if self.unsettled {
            return Some(self.now.mono_ms);
        }
        let event = self.events.peek().map(|Reverse((at_ms, _))| *at_ms);
        // What was due now has been done: the next is later.
        let tick = self.scheduler.next_tick_in_ms(self.now).map(|ms| self.now.mono_ms + ms.max(1));
        event.into_iter().chain(tick).min()
    }

    /// Jobs are matched, and runners take what they are given and ask again, until nobody is given
    /// anything more.
    fn settle(&mut self) {
        self.unsettled = false;
        loop {
            self.scheduler.settle(self.now, &mut self.dice.0);
            let answers = self.scheduler.take_output().answers;
            if answers.is_empty() {
                return;
            }
            for answer in answers {
                let runner = self.polls.remove(&answer.poll_id).expect("the poll is parked");
                assert!(answer.cancel.is_empty() && !answer.drain, "nobody asked for that");
                self.runners[runner].parked = false;
                answer.jobs.into_iter().for_each(|job| self.start(runner, job));
                self.poll(runner);
            }
        }
    }

    /// A runner with free slots and no poll asks for work.
    fn poll(&mut self, runner: usize) {
        let it = &mut self.runners[runner];
        let free = it.slots - it.held.len();
        if it.parked || free == 0 {
            return;
        }
        it.parked = true;
        self.polls_made += 1;
        let poll = Poll {
            runner_id: it.id,
            poll_id: PollId(self.polls_made),
            wait_ms: 60_000,
            jobs_max: u32::try_from(free).ok(),
            known: it.held.values().map(|job| job.lease.token).collect(),
            capabilities: None,
            current_jobs: u32::try_from(it.held.len()).ok(),
        };
        self.polls.insert(poll.poll_id, runner);
        self.apply(Command::Poll(Box::new(poll)));
    }

    fn start(&mut self, runner: usize, job: AssignedJob) {
        self.apply(Command::Start(reference(&job)));
        let (id, now_ms) = (job.job_id, self.now.mono_ms);
        let course = self.courses.get_mut(&id).expect("it was submitted");
        course.runner = runner;
        let work = course.work;
        if course.begun_ms.replace(course.begun_ms.unwrap_or(now_ms)).is_none() {
            let waiting = self.waiting.get_mut(&(work.tenant_id, work.priority));
            *waiting.expect("it was counted") -= 1;
        }
        let nature = (self.natures)(runner, work.class);
        let it = &mut self.runners[runner];
        // Each other job on a runner takes a tenth of its speed.
        let crowd = 10 + it.held.len() as i64;
        let full_ms = work.takes_ms * nature.percent / 100 * crowd / 10;
        let fails = self.dice.1.roll(100) < nature.failing;
        let takes_ms = if fails { full_ms / 2 } else { full_ms };
        it.held.insert(id, job);
        let end = Event::End { runner, job_id: id, fails };
        self.events.push(Reverse((now_ms + takes_ms.max(1), end)));
        if !std::mem::replace(&mut it.beats, true) {
            let beat = Event::Heartbeat { runner };
            self.events.push(Reverse((now_ms + HEARTBEAT_MS, beat)));
        }
    }

    fn end(&mut self, runner: usize, id: JobId, fails: bool) {
        let job = self.runners[runner].held.remove(&id).expect("the runner has it");
        let outcome = if fails { AttemptOutcome::Failed } else { AttemptOutcome::Completed };
        let result = Box::new(JobResult { outcome, ..JobResult::success() });
        let reply = self.apply(Command::Complete { lease: reference(&job), result });
        let Reply::Completed { state, .. } = reply else { panic!("{reply:?}") };
        assert_ne!(state, JobStateKind::Failed, "it had more tries than it needs");
        if state == JobStateKind::Completed {
            let course = self.courses.get_mut(&id).expect("it was submitted");
            course.ended_ms = Some(self.now.mono_ms);
        }
        self.poll(runner);
    }

    /// A runner renews what it has; when it has nothing, its poll shows that it is there.
    fn heartbeat(&mut self, runner: usize) {
        let it = &mut self.runners[runner];
        it.beats = !it.held.is_empty();
        if !it.beats {
            return;
        }
        let lease =
            |job: &AssignedJob| HeldLease { token: job.lease.token, nonce: job.lease.nonce };
        let leases: Vec<_> = it.held.values().map(lease).collect();
        let current_jobs = u32::try_from(leases.len()).ok();
        let runner_id = it.id;
        let reply =
            self.apply(Command::Heartbeat { runner_id, leases, capabilities: None, current_jobs });
        let Reply::Heartbeat { lost, .. } = reply else { panic!("{reply:?}") };
        assert!(lost.is_empty(), "leases were lost: {lost:?}");
        let at_ms = self.now.mono_ms + HEARTBEAT_MS;
        self.events.push(Reverse((at_ms, Event::Heartbeat { runner })));
    }

    /// What each tenant was charged, in milliseconds.
    pub(crate) fn charged_ms(&self, tenant_id: TenantId) -> u64 {
        let usage = self.scheduler.share_usage();
        usage.iter().find(|share| share.tenant_id == tenant_id).map_or(0, |share| share.used_ms)
    }
}

fn label(class: usize) -> Box<str> {
    format!("class-{class}").into()
}

fn reference(job: &AssignedJob) -> LeaseRef {
    let lease = job.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}

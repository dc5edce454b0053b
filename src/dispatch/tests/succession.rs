//! Newer work that takes the place of older.

use proptest::prelude::*;

use super::plan::workload;
use super::yard::{Yard, after, job, names, slots};
use crate::dispatch::{Command, PoolSettings, Reason, Reply};
use crate::model::{
    DeliveryState, EndReason, GroupTerms, JobState, JobStateKind, PendingPolicy, PlannedWorkload,
    Quiet, RecordName, Succession, WorkloadId, WorkloadState,
};

fn line(key: &str) -> Succession {
    Succession { key: key.into(), trusted: true, running: false, quiet: None }
}

fn quiet(quiet_ms: i64, max_ms: i64) -> Succession {
    Succession { quiet: Some(Quiet { quiet_ms, max_ms, first_at_ms: 0 }), ..line("k") }
}

fn of(succession: Succession) -> PlannedWorkload {
    let mut planned = workload(vec![job("a"), after("b", &["a"])]);
    planned.terms.succession = Some(succession);
    planned
}

/// A delivery that starts it, and what its verdict says.
fn deliver(yard: &mut Yard, planned: PlannedWorkload) -> (WorkloadId, String) {
    let Command::Deliver(mut deliver) = super::intake::deliver(1, vec![planned]) else { panic!() };
    deliver.key = None;
    match yard.apply(Command::Deliver(deliver)) {
        Ok(Reply::Delivered { verdicts, .. }) => {
            (verdicts[0].workload_id.expect("it starts"), verdicts[0].why.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn state(yard: &Yard, id: WorkloadId) -> WorkloadState {
    yard.workloads[&id].state
}

/// The reasons for which the first job of a workload waits.
fn reasons(yard: &Yard, id: WorkloadId) -> Vec<Reason> {
    let first = yard.jobs.values().find(|job| job.workload_id == id).unwrap().id;
    yard.scheduler.explain(yard.now, first).unwrap().reasons
}

#[test]
fn newer_work_takes_the_place_of_what_waits_and_names_itself() {
    let mut yard = Yard::new();
    let (first, _) = deliver(&mut yard, of(line("k")));
    let (other, _) = deliver(&mut yard, of(line("other")));
    let (second, why) = deliver(&mut yard, of(line("k")));
    assert!(why.ends_with(&format!("; it takes the place of workload {first}")), "{why}");
    assert_eq!(state(&yard, first), WorkloadState::Cancelled);
    for job in yard.jobs.values().filter(|job| job.workload_id == first) {
        let ended = matches!(job.state, JobState::Ended { reason: EndReason::GroupReplaced, .. });
        assert!(ended, "{job:?}");
    }
    let asked = |it: &&crate::model::Record| it.name == RecordName::JobCancelRequested;
    let record = yard.records.iter().find(asked).unwrap();
    let told = format!("newer work for the same took its place: workload {second} (build)");
    assert_eq!((&*record.detail, record.workload_id), (told.as_str(), Some(first)));
    assert_eq!(state(&yard, other), WorkloadState::Pending);
    assert_eq!(state(&yard, second), WorkloadState::Pending);
}

#[test]
fn what_a_runner_was_given_is_left_alone_unless_it_is_said() {
    for running in [false, true] {
        let mut yard = Yard::new();
        let runner = yard.register("r", slots(1));
        let (first, _) = deliver(&mut yard, of(line("k")));
        assert_eq!(names(&yard.take_started(runner)), ["a"]);
        let (second, _) = deliver(&mut yard, of(Succession { running, ..line("k") }));
        let held = yard.jobs.values().find(|job| job.workload_id == first).unwrap();
        let asked = held.extras.cancel_requested_at_ms.is_some();
        assert_eq!((state(&yard, first), asked), (WorkloadState::Running, running));
        assert_eq!(state(&yard, second), WorkloadState::Pending);
        // The second one waits still; a third takes its place alone.
        let (third, why) = deliver(&mut yard, of(line("k")));
        assert!(why.ends_with(&format!("takes the place of workload {second}")), "{why}");
        assert_eq!(state(&yard, third), WorkloadState::Pending);
    }
}

/// A lease that was lost before anything ran was an attempt all the same: somebody may have done half of it.
#[test]
fn what_came_back_from_a_runner_is_not_what_was_never_given() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let (first, _) = deliver(&mut yard, of(line("k")));
    let given = yard.take(runner).remove(0);
    yard.pass(yard.settings.ack_window_ms + 1);
    assert_eq!(yard.jobs[&given.job_id].kind(), JobStateKind::Pending);
    deliver(&mut yard, of(line("k")));
    assert_eq!(state(&yard, first), WorkloadState::Pending);
}

/// Else work whose line gets newer events all the time would never be the oldest, and never come to its turn.
#[test]
fn newer_work_goes_on_with_the_wait_of_what_it_takes_the_place_of() {
    let mut yard = Yard::new();
    let (first, _) = deliver(&mut yard, of(line("k")));
    let since_ms = yard.jobs.values().find(|job| job.workload_id == first).unwrap().lane_key;
    yard.pass(10);
    yard.submit(vec![job("beside")]);
    yard.pass(10);
    deliver(&mut yard, of(line("k")));
    yard.restart();
    yard.pass(10);
    let (third, _) = deliver(&mut yard, of(line("k")));
    let jobs = yard.jobs.values().filter(|job| job.workload_id == third);
    let ages: Vec<_> = jobs.map(|job| (job.lane_key, job.queued_at_ms)).collect();
    assert_eq!(ages, [(since_ms, since_ms + 30); 2]);
    let runner = yard.register("r", slots(2));
    assert_eq!(names(&yard.take(runner)), ["a", "beside"]);
}

/// A full queue has room for what takes a place in it.
#[test]
fn work_that_takes_the_place_of_other_work_needs_no_more_room() {
    let mut yard = Yard::with(|settings| settings.queue_jobs_max = 3);
    let (first, _) = deliver(&mut yard, of(line("k")));
    yard.submit(vec![job("beside")]);
    deliver(&mut yard, of(line("k")));
    assert_eq!(state(&yard, first), WorkloadState::Cancelled);
    let Command::Deliver(mut other) = super::intake::deliver(2, vec![of(line("other"))]) else {
        panic!()
    };
    other.key = None;
    let refused = yard.apply(Command::Deliver(other));
    assert!(matches!(refused, Ok(Reply::Delivered { state: DeliveryState::Failed, .. })));
}

#[test]
fn strangers_take_no_place_of_trusted_work() {
    let mut yard = Yard::new();
    let stranger = || Succession { trusted: false, running: true, ..line("k") };
    let (own, _) = deliver(&mut yard, of(line("k")));
    let (theirs, why) = deliver(&mut yard, of(stranger()));
    assert!(!why.contains("takes the place"), "{why}");
    let (again, _) = deliver(&mut yard, of(stranger()));
    assert_eq!(state(&yard, theirs), WorkloadState::Cancelled);
    assert_eq!(state(&yard, own), WorkloadState::Pending);
    deliver(&mut yard, of(line("k")));
    assert_eq!(state(&yard, own), WorkloadState::Cancelled);
    assert_eq!(state(&yard, again), WorkloadState::Cancelled);
}

#[test]
fn what_is_debounced_waits_until_nothing_newer_came_also_over_a_restart() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let (first, why) = deliver(&mut yard, of(quiet(100, 250)));
    assert!(why.ends_with("; it waits until nothing newer came for 100 ms"), "{why}");
    yard.pass(90);
    let (second, _) = deliver(&mut yard, of(quiet(100, 250)));
    assert_eq!(state(&yard, first), WorkloadState::Cancelled);
    let until_ms = yard.now.wall_ms + 100;
    let latest_ms = yard.now.wall_ms - 90 + 250;
    let debounced = Reason::Debounced { at_ms: until_ms, in_ms: 100, latest_ms };
    assert_eq!(reasons(&yard, second)[0], debounced);
    assert_eq!(
        debounced.to_string(),
        "delayed for another 0.1 s, until nothing newer came for the same; at most 0.1 s more"
    );
    yard.restart();
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(100));
    yard.pass(99);
    assert_eq!(names(&yard.take(runner)), [""; 0]);
    yard.pass(1);
    assert_eq!(names(&yard.take_started(runner)), ["a"]);
    assert_eq!(yard.workloads[&second].quiet_until_ms, 0);
}

#[test]
fn nobody_is_kept_waiting_for_longer_than_the_most() {
    let mut yard = Yard::new();
    let began_ms = yard.now.wall_ms;
    let mut last = deliver(&mut yard, of(quiet(100, 250))).0;
    for _ in 0..3 {
        yard.pass(80);
        last = deliver(&mut yard, of(quiet(100, 250))).0;
    }
    assert_eq!(yard.workloads[&last].quiet_until_ms, began_ms + 250);
    // Its time came, and no runner did: what takes its place now has waited enough.
    yard.pass(20);
    let (next, why) = deliver(&mut yard, of(quiet(100, 250)));
    assert_eq!(
        (state(&yard, last), yard.workloads[&next].quiet_until_ms),
        (WorkloadState::Cancelled, 0)
    );
    assert!(!why.contains("it waits"), "{why}");
    let runner = yard.register("r", slots(1));
    assert_eq!(names(&yard.take(runner)), ["a"]);
}

/// Whoever waits for nothing newer keeps its group from nobody, and asks nobody to stop.
#[test]
fn what_is_quiet_is_in_no_group() {
    let mut yard = Yard::with(|settings| {
        settings.pools.insert(
            crate::model::PoolId::DEFAULT,
            PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() },
        );
    });
    let runner = yard.register("r", slots(9));
    let group = |cancel_in_progress| {
        let pending = PendingPolicy::Latest;
        Some(GroupTerms { key: "g".into(), limit: 1, cancel_in_progress, pending })
    };
    let mut waits = of(quiet(100, 250));
    waits.terms.group = group(true);
    let (quiet, _) = deliver(&mut yard, waits);
    let mut plain = workload(vec![job("x")]);
    plain.terms.group = group(false);
    let (plain, _) = deliver(&mut yard, plain);
    assert_eq!(names(&yard.take_started(runner)), ["x"]);
    assert!(!reasons(&yard, quiet).iter().any(|it| matches!(it, Reason::GroupHeld { .. })));
    yard.restart();
    yard.pass(100);
    let held = yard.jobs.values().find(|job| job.workload_id == plain).unwrap();
    assert!(held.extras.cancel_requested_at_ms.is_some(), "it asks now");
    assert!(reasons(&yard, quiet).iter().any(|it| matches!(it, Reason::GroupHeld { .. })));
}

#[test]
fn what_was_cancelled_while_it_was_quiet_runs_at_once_when_it_is_retried() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let (id, _) = deliver(&mut yard, of(quiet(1_000, 1_000)));
    let (author, reason) = ("ada".into(), "no".into());
    yard.apply(Command::CancelWorkload { workload_id: id, author, reason }).unwrap();
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now).filter(|ms| *ms < 2_000), None);
    yard.retry(id).unwrap();
    assert_eq!(names(&yard.take(runner)), ["a"]);
    // It is of its line again, and was given.
    deliver(&mut yard, of(line("k")));
    assert_ne!(state(&yard, id), WorkloadState::Cancelled);
}

#[test]
fn a_queue_timeout_counts_from_the_end_of_the_quiet() {
    let mut yard = Yard::with(|settings| settings.queue_timeout_ms = Some(50));
    let (id, _) = deliver(&mut yard, of(quiet(100, 250)));
    yard.pass(100);
    assert_eq!(state(&yard, id), WorkloadState::Pending);
    yard.pass(49);
    assert_eq!(state(&yard, id), WorkloadState::Pending);
    yard.pass(1);
    assert_eq!(state(&yard, id), WorkloadState::Failed);
}

/// What a model of one line says of each workload: by when it goes on, since when its line waits.
#[derive(Clone, Copy, Debug)]
struct Waits {
    id: WorkloadId,
    until_ms: i64,
    first_ms: i64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Events come, time passes, runners come, servers start again: of those that no runner was given the newest
    /// alone is left, it goes on when the model says, and nothing that a runner was given is cancelled.
    #[test]
    fn of_what_no_runner_was_given_the_newest_alone_is_left(
        moves in prop::collection::vec((0u8..6, 0i64..70), 1..40),
        quiet_ms in 0i64..60,
        more_ms in 0i64..120,
    ) {
        let mut yard = Yard::new();
        let runner = yard.register("r", slots(2));
        let succession = || match quiet_ms {
            0 => line("k"),
            _ => quiet(quiet_ms, quiet_ms + more_ms),
        };
        let (mut waits, mut given) = (None::<Waits>, Vec::new());
        for (what, ms) in moves {
            match what {
                0..=2 => {
                    let (now_ms, older) = (yard.now.wall_ms, waits);
                    let first_ms = older.map_or(now_ms, |it| it.first_ms);
                    let (id, _) = deliver(&mut yard, of(succession()));
                    let until_ms = (now_ms + quiet_ms).min(first_ms + quiet_ms + more_ms);
                    let quiet_until_ms = if until_ms > now_ms { until_ms } else { 0 };
                    prop_assert_eq!(yard.workloads[&id].quiet_until_ms, quiet_until_ms);
                    if let Some(older) = older {
                        prop_assert_eq!(state(&yard, older.id), WorkloadState::Cancelled);
                    }
                    waits = Some(Waits { id, until_ms, first_ms });
                }
                3 => yard.pass(ms),
                4 => yard.restart(),
                _ => {
                    let now_ms = yard.now.wall_ms;
                    // A poll that is not parked: what comes later is not given to it.
                    let mut poll = yard.poll_of(runner);
                    poll.wait_ms = 0;
                    let poll_id = yard.poll_with(poll);
                    yard.batch([]);
                    for job in yard.given(poll_id) {
                        yard.start(&job).expect("it was just given");
                        if !given.contains(&job.workload_id) {
                            let next = waits.take_if(|it| it.id == job.workload_id);
                            prop_assert!(next.is_some_and(|it| it.until_ms <= now_ms));
                            given.push(job.workload_id);
                        }
                        yard.succeed(&job);
                    }
                }
            }
            for id in &given {
                prop_assert_ne!(state(&yard, *id), WorkloadState::Cancelled);
            }
            let live = yard.workloads.values().filter(|it| it.state == WorkloadState::Pending);
            let live: Vec<_> = live.map(|it| it.id).filter(|id| !given.contains(id)).collect();
            prop_assert_eq!(live, waits.iter().map(|it| it.id).collect::<Vec<_>>());
        }
    }
}

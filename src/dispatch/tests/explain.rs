//! Every reason why a job waits, with the sentence that people read.

use super::yard::{Yard, after, job, labelled, slots, urgent, with_label};
use crate::dispatch::Reason;
use crate::model::{EndReason, JobId, JobPriority, JobStateKind, PlannedJob};

fn reasons(yard: &Yard, id: JobId) -> Vec<Reason> {
    yard.scheduler.explain(yard.now, id).expect("a live job").reasons
}

pub(super) fn said(yard: &Yard, id: JobId) -> Vec<String> {
    reasons(yard, id).iter().map(ToString::to_string).collect()
}

#[test]
fn a_blocked_job_names_the_jobs_that_it_still_needs() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), after("c", &["a", "b"])]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.succeed(&given[0]);
    yard.start(&given[1]).unwrap();
    assert_eq!(said(&yard, ids[2]), ["blocked by b (job 2, running)"]);
}

#[test]
fn a_delayed_job_says_how_long_and_that_nobody_is_registered() {
    let mut yard = Yard::new();
    let not_before_ms = yard.now.wall_ms + 1_500;
    let id = yard.submit(vec![PlannedJob { not_before_ms, ..job("a") }])[0];
    assert_eq!(said(&yard, id), ["delayed for another 1.5 s", "no runner is registered"]);
}

#[test]
fn a_job_that_no_runner_fits_names_what_the_nearest_lacks() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![labelled("a", "gpu")])[0];
    yard.register("far", crate::model::RunnerCapabilities { os: "macos".into(), ..slots(1) });
    yard.register("near", slots(1));
    assert_eq!(
        said(&yard, id),
        [
            "none of 2 runners can take it; the nearest, far, lacks label `gpu`",
            "position 1 in the queue"
        ]
    );
}

#[test]
fn a_job_whose_runners_are_all_away_counts_them() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![labelled("a", "x")])[0];
    let [_silent, cordoned, draining] =
        ["a", "b", "c"].map(|name| yard.register(name, with_label("x")));
    yard.patch(cordoned, Some(Some("ada: disk")), None);
    yard.patch(draining, None, Some(true));
    yard.pass(yard.settings.heartbeat_timeout_ms - 1);
    for runner in [cordoned, draining] {
        yard.beat(runner, &[]);
    }
    yard.pass(1);
    let away = "every runner that could take it is away: 1 offline, 1 cordoned (b by ada: disk), 1 \
                draining, 0 unhealthy";
    assert_eq!(said(&yard, id), [away, "position 1 in the queue"]);
}

#[test]
fn a_job_behind_busy_runners_says_how_many_and_its_place() {
    let mut yard = Yard::new();
    let [busy, idle] = ["a", "b"].map(|name| yard.register(name, slots(1)));
    yard.submit(vec![job("first")]);
    yard.run(busy);
    yard.submit(vec![urgent("before", JobPriority::High)]);
    let id = yard.submit(vec![job("waits")])[0];
    assert_eq!(
        said(&yard, id),
        [
            "1 of 2 runners that fit are busy",
            "1 runners that fit have room and have not asked for work yet",
            "position 2 in the queue"
        ]
    );
    assert_eq!(yard.take(idle).len(), 1);
    assert_eq!(reasons(&yard, id), [Reason::Busy { busy: 2, of: 2 }, Reason::Position(1)]);
}

#[test]
fn a_full_house_is_a_reason() {
    let mut yard = Yard::with(|settings| settings.max_global_concurrency = 1);
    let id = yard.submit(vec![job("a"), job("b")])[1];
    let runner = yard.register("r", slots(2));
    yard.take(runner);
    yard.poll(runner);
    assert_eq!(
        reasons(&yard, id)[0],
        Reason::GlobalLimit { running: 1, max: 1 },
        "{:?}",
        said(&yard, id)
    );
}

#[test]
fn a_job_that_avoids_a_runner_says_so() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, _other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms);
    yard.poll(runner);
    assert_eq!(
        reasons(&yard, id),
        [Reason::AvoidsRunner(runner), Reason::AwaitingPoll { runners: 1 }, Reason::Position(1)]
    );
}

#[test]
fn a_job_in_a_runners_hands_says_whose_and_whether_it_is_being_stopped() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.take(runner).remove(0);
    assert_eq!(reasons(&yard, id), [Reason::ClaimedBy(runner)]);
    yard.start(&given).unwrap();
    assert_eq!(reasons(&yard, id), [Reason::RunningOn(runner)]);
    yard.cancel(id).unwrap();
    let since = yard.now.wall_ms;
    assert_eq!(reasons(&yard, id), [Reason::Cancelling(since), Reason::RunningOn(runner)]);
}

#[test]
fn an_ended_job_of_a_live_workload_says_why_it_ended() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), after("c", &["a"])]);
    yard.cancel(ids[0]).unwrap();
    assert_eq!(reasons(&yard, ids[0]), [Reason::Ended(EndReason::CancelRequested)]);
    let explained = yard.scheduler.explain(yard.now, ids[2]).unwrap();
    assert_eq!(explained.state, JobStateKind::Skipped);
    assert_eq!(said(&yard, ids[2]), ["ended because a job that it needs did not end well"]);
    assert_eq!(yard.scheduler.explain(yard.now, JobId(99)), None);
}

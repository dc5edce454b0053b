//! What operators do to a whole pool, and to what was learned.

use super::yard::{Yard, job, names, slots};
use crate::dispatch::{Command, Refusal, Reply};
use crate::model::{ClassId, PoolId, RecordName, RunnerId, RunnerState};
use crate::runner::FinishedRun;

fn patch_pool(cordoned: Option<Option<&str>>, draining: Option<bool>) -> Command {
    let cordoned = cordoned.map(|why| why.map(Into::into));
    Command::PatchPool { pool_id: PoolId::DEFAULT, cordoned, draining, author: "ada".into() }
}

fn is(yard: &Yard, id: RunnerId) -> RunnerState {
    yard.scheduler.runner(yard.now, id).expect("a registered runner").state
}

#[test]
fn a_cordoned_pool_gives_nothing_to_runners_that_come_later_either() {
    let mut yard = Yard::new();
    let first = yard.register("first", slots(1));
    yard.apply(patch_pool(Some(Some("upgrade")), None)).unwrap();
    yard.restart();
    let later = yard.register("later", slots(1));
    let id = yard.submit(vec![job("a")])[0];
    assert!(yard.take(first).is_empty() && yard.take(later).is_empty());
    assert_eq!(yard.said(id)[0], "pool default is paused by ada: upgrade");

    yard.patch(first, Some(Some("ada: disk")), None);
    let Ok(Reply::Pool { paused: None, runners }) = yard.apply(patch_pool(Some(None), None)) else {
        panic!("it is lifted");
    };
    assert_eq!(runners, [first, later]);
    assert_eq!(is(&yard, first), RunnerState::Cordoned, "its own cordon stays");
    yard.restart();
    assert!(yard.take(first).is_empty());
    assert_eq!(names(&yard.take(later)), ["a"]);
    let again = yard.apply(patch_pool(Some(None), None));
    assert_eq!(again, Ok(Reply::Pool { paused: None, runners }), "it is so already");
    assert_eq!(yard.changes, []);
}

#[test]
fn a_pool_drains_as_a_whole_or_not_at_all() {
    let mut yard = Yard::with(|settings| settings.changes_per_command_max = 5);
    let runners = ["a", "b"].map(|name| yard.register(name, slots(1)));
    yard.patch(runners[0], None, Some(true));
    yard.patch(runners[0], None, Some(false));
    let refused = yard.refused(patch_pool(Some(Some("move")), Some(true)));
    assert!(matches!(refused, Refusal::TooMany { max: 5, .. }), "{refused}");

    yard.patch(runners[0], None, Some(true));
    let reply = yard.apply(patch_pool(None, Some(true)));
    assert_eq!(reply, Ok(Reply::Pool { paused: None, runners: runners.to_vec() }));
    assert_eq!(runners.map(|id| is(&yard, id)), [RunnerState::Draining; 2]);
    let later = yard.register("c", slots(1));
    yard.submit(vec![job("j")]);
    assert!(yard.take(runners[0]).is_empty() && yard.take(runners[1]).is_empty());
    assert_eq!(names(&yard.take(later)), ["j"], "who comes after a drain is new");
}

#[test]
fn a_cordon_of_one_pool_is_nothing_to_another() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.submit(vec![job("a")]);
    let (pool_id, cordoned) = (PoolId(9), Some(Some("gone".into())));
    let other =
        Command::PatchPool { pool_id, cordoned, draining: Some(true), author: "ada".into() };
    let Ok(Reply::Pool { paused: Some(_), runners }) = yard.apply(other) else {
        panic!("it is paused");
    };
    assert_eq!(runners, []);
    assert_eq!(names(&yard.take(runner)), ["a"]);
}

#[test]
fn what_was_trained_is_there_after_a_restart_and_what_was_reset_is_not() {
    let mut yard = Yard::new();
    let run = |run_ms, failed| FinishedRun {
        class_id: ClassId(3),
        runner_id: RunnerId(7),
        run_ms,
        failed,
    };
    let runs = vec![run(900, false), run(1_100, false), run(1_000, true)];
    let author: Box<str> = "ada".into();
    let train = Command::TrainModel { runs: runs.clone(), author: author.clone() };
    assert_eq!(yard.apply(train.clone()), Ok(Reply::Trained { runs: 3 }));
    let learned = yard.scheduler.learned(None, 9);
    assert_eq!((learned.runs, learned.classes.len(), learned.slowness.len()), (3, 1, 1));
    let times = learned.classes[0][1].prediction;
    assert!((900..=1_100).contains(&times.mean_ms) && times.runs == 3, "{times:?}");
    yard.restart();
    assert_eq!(yard.scheduler.learned(None, 9), learned);
    assert_eq!(yard.apply(train), Ok(Reply::Trained { runs: 3 }));
    assert_eq!(yard.scheduler.learned(None, 9), learned, "it begins with nothing");

    assert_eq!(yard.apply(Command::ResetModel { author }), Ok(Reply::Trained { runs: 0 }));
    yard.restart();
    assert_eq!(yard.scheduler.learned(None, 9).runs, 0);
    let told = yard.records.iter().filter(|it| it.name == RecordName::ModelChanged);
    let told: Vec<_> = told.map(|it| (&*it.detail, it.author.as_deref())).collect();
    let trained = ("trained from 3 runs", Some("ada"));
    assert_eq!(told, [trained, trained, ("reset", Some("ada"))]);
}

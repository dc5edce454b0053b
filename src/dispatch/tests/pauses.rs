//! Pauses: by whom, why, of what, and over a restart.

use super::yard::{Yard, job, names, slots};
use crate::dispatch::{Command, Reason, Refusal};
use crate::model::{JobStateKind, Pause, PauseScope, PoolId, RecordName, TenantId};

fn pause(yard: &mut Yard, scope: PauseScope) {
    let at_ms = yard.now.wall_ms;
    let pause =
        Pause { scope, author: "ada".into(), reason: "upgrade".into(), at_ms, breaker: None };
    yard.apply(Command::Pause(pause)).unwrap();
}

#[test]
fn what_is_paused_gives_out_nothing_until_somebody_resumes_it() {
    let scopes = [
        PauseScope::Everything,
        PauseScope::Pool(PoolId::DEFAULT),
        PauseScope::Tenant(TenantId::DEFAULT),
        PauseScope::Trigger("on-push".into()),
    ];
    for scope in scopes {
        let mut yard = Yard::new();
        let runner = yard.register("r", slots(3));
        let waiting = yard.submit(vec![job("before")])[0];
        pause(&mut yard, scope.clone());
        yard.submit(vec![job("after")]);
        let poll = yard.poll(runner);
        yard.restart();
        let poll = if yard.answer(poll).is_some() { poll } else { yard.poll(runner) };
        assert_eq!(yard.answer(poll), None, "{scope:?}");
        let reasons = yard.scheduler.explain(yard.now, waiting).unwrap().reasons;
        let paused = reasons.iter().any(|reason| {
            matches!(reason, Reason::Paused { author, reason, .. }
                if &**author == "ada" && &**reason == "upgrade")
        });
        assert!(paused, "{scope:?}: {reasons:?}");
        yard.apply(Command::Resume { scope: scope.clone(), author: "bob".into() }).unwrap();
        assert_eq!(names(&yard.given(poll)), ["before", "after"], "{scope:?}");
        let refused = yard.refused(Command::Resume { scope, author: "bob".into() });
        assert!(matches!(refused, Refusal::WrongState(_)));
    }
}

#[test]
fn a_pause_stops_nothing_that_runs_and_is_recorded() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.submit(vec![job("a")]);
    let given = yard.run(runner);
    pause(&mut yard, PauseScope::Everything);
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
    let record = yard.records.iter().find(|it| it.name == RecordName::Paused).unwrap();
    assert_eq!(&*record.detail, "everything: upgrade");
    assert_eq!(record.author.as_deref(), Some("ada"));
}

#[test]
fn a_job_of_a_paused_trigger_can_be_cancelled() {
    let mut yard = Yard::new();
    pause(&mut yard, PauseScope::Trigger("on-push".into()));
    let id = yard.submit(vec![job("a")])[0];
    yard.cancel(id).unwrap();
    assert_eq!(yard.state(id), JobStateKind::Cancelled);
}

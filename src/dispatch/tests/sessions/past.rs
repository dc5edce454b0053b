//! Sessions that are over can be forgotten, live ones cannot.

use super::*;
use crate::dispatch::Prune;
use crate::model::PrunedSession;

fn prune(yard: &mut Yard, ids: &[SessionId]) -> Vec<SessionId> {
    let piece =
        |id: &SessionId| PrunedSession { id: *id, ended_at_ms: 0, first: 1, up_to: 9, whole: true };
    let sessions = ids.iter().map(piece).collect();
    let before = yard.scheduler.durable();
    let reply = yard.apply(Command::Prune(Box::new(Prune { sessions, ..Prune::default() })));
    let Ok(Reply::Pruned { rows, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(yard.scheduler.durable(), before, "nothing of it is in memory");
    rows.sessions.iter().map(|it| it.id).collect()
}

#[test]
fn a_session_that_ended_goes_and_a_live_one_stays() {
    let mut yard = Yard::new();
    let [over, live] = ["a", "b"].map(|text| id_of(yard.apply(open(planned(None, text)))));
    assert_eq!(prune(&mut yard, &[over, live]), []);
    let (author, reason) = ("bob".into(), "enough".into());
    yard.apply(Command::Session(SessionCommand::End { session_id: over, author, reason })).unwrap();
    assert_eq!(prune(&mut yard, &[over, live]), [over]);
    yard.restart();
    assert_eq!(prune(&mut yard, &[live]), []);
}

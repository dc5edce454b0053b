//! What ends a session, or keeps one from beginning: turns, cost, time, and what a tenant has in a day.

use super::*;

fn limited(change: impl FnOnce(&mut SessionLimits)) -> (Yard, SessionId, AssignedJob) {
    let mut yard = Yard::with(|settings| change(&mut settings.sessions.limits));
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    (yard, id, work)
}

#[test]
fn turns_and_cost_end_a_session_with_a_word() {
    let turn = Spent { turns: 1, ..Spent::default() };
    let (mut yard, id, work) = limited(|limits| limits.turns_max = 2);
    assert_eq!(yard.apply(used(&work, 1, turn)), Ok(Reply::Told { heard: 1, ended: false }));
    assert_eq!(yard.apply(used(&work, 2, turn)), Ok(Reply::Told { heard: 2, ended: true }));
    assert_eq!(
        yard.heard(id).last().unwrap().2,
        "the session has had its 2 turns (session_turns_max)"
    );
    let cost = Spent { cost_micros: 70, ..Spent::default() };
    let (mut yard, id, work) = limited(|limits| limits.cost_micros_max = Some(100));
    yard.apply(used(&work, 1, cost)).unwrap();
    assert_eq!(yard.apply(used(&work, 2, cost)), Ok(Reply::Told { heard: 2, ended: true }));
    assert!(yard.heard(id).last().unwrap().2.starts_with("the session has cost 140 of 100"));
}

#[test]
fn the_whole_time_of_a_session_ends_it_also_when_it_rests() {
    let (mut yard, id, work) = limited(|limits| limits.total_ms = 90_000);
    yard.apply(told(&work, 1, &[], Some(1))).unwrap();
    yard.succeed(&work);
    yard.pass(89_999);
    assert!(yard.sessions.contains_key(&id));
    assert!(yard.scheduler.next_tick_in_ms(yard.now).is_some_and(|ms| ms <= 1));
    yard.pass(1);
    assert!(!yard.sessions.contains_key(&id));
    let word = yard.heard(id).last().unwrap().2.to_owned();
    assert_eq!(word, "the session's 90000 ms are over (session_total_ms)");
}

#[test]
fn a_tenant_has_so_many_sessions_and_so_much_money_in_a_day() {
    let tenant = TenantSettings {
        sessions_per_day_max: Some(2),
        session_cost_micros_per_day_max: Some(50),
        ..TenantSettings::default()
    };
    let mut yard = Yard::with(|settings| {
        settings.tenants.insert(TenantId::DEFAULT, tenant);
    });
    let runner = yard.register("r", slots(1));
    let first = id_of(yard.apply(open(planned(None, "a"))));
    let second = id_of(yard.apply(open(planned(None, "b"))));
    let refusal = yard.refused(open(planned(None, "c")));
    assert!(refusal.to_string().ends_with("sessions_per_day_max is 2"), "{refusal}");
    let work = yard.run(runner);
    let ended = yard.apply(used(&work, 1, Spent { cost_micros: 60, ..Spent::default() }));
    assert_eq!(ended, Ok(Reply::Told { heard: 1, ended: true }));
    assert!(!yard.sessions.contains_key(&first));
    let refusal = yard.refused(say(second, "more"));
    assert!(refusal.to_string().ends_with("session_cost_micros_per_day_max is 50"), "{refusal}");
    yard.pass(86_400_000);
    yard.apply(say(second, "tomorrow")).unwrap();
}

#[test]
fn a_session_can_only_have_tighter_limits_of_its_own() {
    let mut yard = Yard::new();
    let mut wanted = planned(None, "a");
    let own =
        SessionLimits { idle_ms: 5, turns_max: 1_000_000, total_ms: 7, cost_micros_max: Some(9) };
    wanted.session.as_mut().unwrap().limits = Some(own);
    let id = id_of(yard.apply(open(wanted)));
    let most = yard.settings.sessions.limits;
    let known = SessionLimits { turns_max: most.turns_max, ..own };
    assert_eq!(yard.session(id).limits, known);
}

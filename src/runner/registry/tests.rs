//! Who waits, who is absent, and places that are used again.

use super::*;
use crate::model::RunnerCapabilities;

pub(crate) fn runner(id: i64, slots: u32) -> Runner {
    Runner {
        id: RunnerId(id),
        name: format!("r{id}").into(),
        instance_id: format!("i{id}").into(),
        boot_id: "b".into(),
        pool_id: PoolId::DEFAULT,
        token_hash: "".into(),
        capabilities: RunnerCapabilities {
            max_parallel_jobs: slots,
            ..RunnerCapabilities::default()
        },
        cordoned: None,
        draining: false,
        version: "".into(),
        registered_at_ms: 0,
        order: None,
    }
}

#[test]
fn waiting_follows_load_room_and_cordon() {
    let mut registry = RunnerRegistry::default();
    let [a, b] = [1, 2].map(|id| registry.insert(runner(id, 2), 0, true));
    registry.park(a, PollId(1), 10, 9);
    registry.park(b, PollId(2), 10, 9);
    assert_eq!(registry.waiting(PoolId::DEFAULT).collect::<Vec<_>>(), [a, b]);
    registry.update(a, |runner| runner.foreign_jobs = 1);
    assert_eq!(registry.waiting(PoolId::DEFAULT).collect::<Vec<_>>(), [b, a]);
    registry.update(a, |runner| runner.foreign_jobs = 2);
    assert_eq!(registry.waiting(PoolId::DEFAULT).collect::<Vec<_>>(), [b]);
    registry.update(b, |runner| Arc::make_mut(&mut runner.row).cordoned = Some("why".into()));
    assert_eq!(registry.waiting_len(), 0);
    assert_eq!(registry.parked_len(), 2);
}

#[test]
fn a_runner_with_room_and_no_poll_is_absent_until_it_misses_what_was_kept_for_it() {
    let mut registry = RunnerRegistry::default();
    let [a, b] = [1, 2].map(|id| registry.insert(runner(id, 2), 0, true));
    let absent = |registry: &RunnerRegistry| {
        registry.absent(PoolId::DEFAULT).map(|(_, slot)| slot).collect::<Vec<_>>()
    };
    registry.update(a, |runner| runner.foreign_jobs = 1);
    assert_eq!(absent(&registry), [b, a]);
    registry.park(b, PollId(1), 10, 9);
    assert_eq!(absent(&registry), [a]);
    registry.update(a, |runner| runner.missed = true);
    assert_eq!(absent(&registry), []);
}

#[test]
fn a_runner_on_probation_has_room_for_one_job() {
    let mut registry = RunnerRegistry::default();
    let a = registry.insert(runner(1, 4), 0, true);
    registry.park(a, PollId(1), 10, 9);
    registry.update(a, |runner| runner.on_probation = true);
    assert_eq!(registry.at(a).unwrap().room(), 1);
    registry.update(a, |runner| runner.leases.push(LeaseToken(1)));
    registry.update(a, |runner| runner.unhealthy = true);
    assert_eq!((registry.waiting_len(), registry.running_in(PoolId::DEFAULT)), (0, 1));
}

#[test]
fn a_second_poll_supersedes_the_first() {
    let mut registry = RunnerRegistry::default();
    let slot = registry.insert(runner(1, 1), 0, true);
    assert_eq!(registry.park(slot, PollId(1), 10, 1), None);
    assert_eq!(registry.park(slot, PollId(2), 10, 1), Some(PollId(1)));
    assert_eq!(registry.by_poll(PollId(1)), None);
    assert_eq!(registry.by_poll(PollId(2)), Some(slot));
    assert_eq!(registry.waiting_len(), 1);
}

#[test]
fn a_place_is_reused_and_the_old_runner_is_gone() {
    let mut registry = RunnerRegistry::default();
    let slot = registry.insert(runner(1, 1), 0, true);
    registry.park(slot, PollId(1), 10, 1);
    registry.remove(RunnerId(1));
    assert_eq!(registry.waiting_len() + registry.parked_len() + registry.len(), 0);
    assert_eq!(registry.insert(runner(2, 1), 0, true), slot);
    assert_eq!(registry.get(RunnerId(1)).map(|runner| runner.row.id), None);
}

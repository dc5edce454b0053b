//! What is over: deliveries that come once and again, and forgetting what is old. Only worlds that are told so
//! have a past, by dice of its own, so that all others play what they played before.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::dispatch::{Command, Deliver, GoneRunners, Prune, Refusal, Reply, Verdict};
use dispatchyard::model::{
    Archived, Body, Delivery, DeliveryId, DeliveryState, KeyScope, Plan, PrunedRows, RunnerId,
    SoftState, TenantId, TriggerVerdict, Trust, UniqueKey, WorkloadId,
};

use super::World;
use crate::dice::Dice;
use crate::shapes::{self, Beside};

/// The dice of a past, and what the checker remembers of it.
#[derive(Clone)]
pub(super) struct Past {
    dice: Dice,
    /// Deliveries that there ever were.
    deliveries: u128,
    /// When the last workload ended that was pruned (wall).
    until_ms: i64,
}

impl Past {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed.rotate_left(32) ^ 0x0070_6173_7400_0000),
            deliveries: 0,
            until_ms: 0,
        }
    }
}

/// The key of a delivery.
pub(crate) fn key_of(number: u128) -> UniqueKey {
    UniqueKey { scope: KeyScope::Delivery, key: format!("sim {number}").into() }
}

impl World {
    /// Now and then something is delivered, delivered again, or forgotten.
    pub(super) fn past_goes_on(&mut self) {
        let Some(mut past) = self.past.take() else { return };
        match past.dice.roll(8) {
            0 => self.deliver_new(&mut past),
            1 => self.deliver_again(&mut past),
            2 | 3 => self.prune(&mut past),
            _ => {}
        }
        self.past = Some(past);
    }

    fn deliver_new(&mut self, past: &mut Past) {
        past.deliveries += 1;
        let number = past.deliveries;
        let dice = &mut past.dice;
        let live: Vec<_> = self.rows.workloads.keys().copied().collect();
        let workloads = (0..dice.roll(3)).map(|_| {
            let (names, wall_ms) = (Vec::new(), self.now.wall_ms);
            let beside = Beside { wall_ms, workloads: &live, names, open: false, matrix: None };
            shapes::workload(dice, beside)
        });
        let workloads: Vec<_> = workloads.collect();
        self.idle_batch();
        let mut deliver = delivery(number, self.now.wall_ms, Plan { workloads, ..Plan::default() });
        deliver.ended = self.ended();
        let planned = deliver.plan.workloads.len();
        let id = deliver.delivery.id;
        self.rows.keys.insert(key_of(number).key, id);
        let reply = self.send_as(Command::Deliver(Box::new(deliver)), Verdict::New);
        let Ok(Reply::Delivered { delivery_id, duplicate: false, verdicts, .. }) = reply else {
            panic!("{reply:?}")
        };
        let started: Vec<_> = verdicts.iter().filter_map(|it| it.workload_id).collect();
        assert_eq!((delivery_id, &self.rows.deliveries[&id].workloads), (id, &started));
        assert!(started.len() <= planned && started.iter().all(|id| self.rows.knows(*id)));
        self.reached.mark("delivered");
    }

    /// The provider sends it again: its key is the defence, also when nothing else is left of it.
    fn deliver_again(&mut self, past: &mut Past) {
        let first: Vec<_> = self.rows.keys.iter().map(|(key, id)| (key.clone(), *id)).collect();
        if first.is_empty() {
            return;
        }
        let (key, first) = past.dice.pick(&first);
        past.deliveries += 1;
        let workloads = vec![shapes::tangled()[0].clone()];
        let mut deliver =
            delivery(past.deliveries, self.now.wall_ms, Plan { workloads, ..Plan::default() });
        deliver.key = Some(UniqueKey { scope: KeyScope::Delivery, key });
        self.idle_batch();
        let (marks, deliveries) = (self.rows.marks, self.rows.deliveries.len());
        let command = Command::Deliver(Box::new(deliver));
        let reply = self.send_as(command, Verdict::Duplicate(first.to_string().into()));
        let Ok(Reply::Delivered { delivery_id, duplicate: true, .. }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(delivery_id, first);
        let now = (self.rows.marks, self.rows.deliveries.len());
        assert_eq!(now, (marks, deliveries), "a repeated delivery started something");
        if !self.rows.deliveries.get(&first).is_some_and(|row| row.has_body) {
            self.reached.mark("repeated after its body went");
        }
    }

    /// Asks for some of everything to be forgotten, live or not, and compares what was with what may be.
    fn prune(&mut self, past: &mut Past) {
        // Time may have ended some of it, or found that nobody can take a job, before the command is heard.
        self.begin();
        let asked = self.some_of_all(&mut past.dice);
        let expected = self.prunable(&asked);
        let gone = asked.runners.map_or_else(Vec::new, |gone| self.gone_runners(gone));
        self.mark_kept(&asked, &expected);
        let archived =
            expected.workloads.first().and_then(|(id, _)| Some((*id, self.rows.archived(*id)?)));
        let kept = self.rows.after(&expected);
        let live = self.scheduler.durable();

        let runners = asked.runners;
        let reply = self.apply(Command::Prune(Box::new(asked)));
        let Ok(Reply::Pruned { rows, runners: many }) = reply else { panic!("{reply:?}") };
        assert_eq!(*rows, expected, "what was forgotten (right)");
        assert_eq!(self.rows.outline(), kept, "what there is after that (right)");
        assert_eq!(many, gone.len() as u64, "runners that are gone: {gone:?}");
        let stays = runners.is_none_or(|it| it.dry_run) || gone.is_empty();
        for id in &gone {
            assert_eq!(self.rows.runners.contains_key(id), stays, "runner {id}");
        }
        if stays {
            assert_eq!(self.scheduler.durable(), live, "nothing of it was live");
        } else {
            self.reached.mark("runner pruned");
            self.processes_leave(&gone);
        }
        self.finish(false);
        let ends = rows.workloads.iter().map(|(_, ended_at_ms)| *ended_at_ms);
        past.until_ms = ends.chain([past.until_ms]).max().unwrap_or(0);
        let until = self.rows.soft.get(SoftState::PRUNED_UNTIL).map(|it| it.value.to_string());
        assert_eq!(until, (past.until_ms > 0).then(|| past.until_ms.to_string()));
        if let Some((id, archived)) = archived {
            self.retry_late(id, archived);
        }
    }

    /// Somebody read the rows of a workload before they went, and asks for its retry now.
    fn retry_late(&mut self, workload_id: WorkloadId, archived: Archived) {
        let archived = Some(Box::new(archived));
        let (ended, author) = (self.ended(), "op".into());
        let reply = self.send(Command::Retry { workload_id, archived, ended, author });
        assert_eq!(reply, Err(Refusal::UnknownWorkload(workload_id)), "there is none any more");
        self.reached.mark("late retry refused");
    }

    fn some_of_all(&self, dice: &mut Dice) -> Prune {
        let wall_ms = self.now.wall_ms;
        let live = self.rows.workloads.keys().map(|id| (*id, wall_ms));
        let mut workloads: Vec<_> = live.filter(|_| dice.once_in(6)).collect();
        let done = self.rows.done_workloads.values();
        let done = done.map(|row| (row.id, row.ended_at_ms.expect("it has ended")));
        workloads.extend(done.filter(|_| dice.once_in(3)));
        let deliveries = &self.rows.deliveries;
        let bodies = deliveries.iter().filter(|(_, row)| row.has_body && dice.once_in(3));
        let bodies = bodies.map(|(id, row)| (*id, row.workloads.clone())).collect();
        // Whoever asks has looked whether a workload is left, and keys are kept for longer.
        let over = |started: &[WorkloadId]| !started.iter().any(|id| self.rows.knows(*id));
        let over = deliveries.iter().filter(|(_, row)| over(&row.workloads) && dice.once_in(3));
        let over: Vec<_> = over.map(|(id, _)| *id).collect();
        let keys = self.rows.keys.iter().filter(|(_, id)| !deliveries.contains_key(*id));
        let keys = keys.filter(|_| dice.once_in(4)).map(|(key, _)| key.clone());
        let keys = keys.map(|key| UniqueKey { scope: KeyScope::Delivery, key }).collect();
        let runners = dice.once_in(2).then(|| GoneRunners {
            silent_ms: dice.pick(&[0, 70, 300]),
            max: 1 + dice.roll(3) as usize,
            dry_run: dice.once_in(4),
        });
        let (records, sessions) = (Vec::new(), Vec::new());
        Prune { workloads, bodies, deliveries: over, keys, records, sessions, runners }
    }

    /// What of it nothing live refers to.
    fn prunable(&self, asked: &Prune) -> PrunedRows {
        let Prune { workloads, bodies, deliveries, keys, records, sessions, runners: _ } =
            asked.clone();
        let needed: BTreeSet<_> =
            self.rows.jobs.values().flat_map(|job| job.needs_workloads()).copied().collect();
        let is_live = |id: &WorkloadId| self.rows.workloads.contains_key(id);
        let goes = |id: &WorkloadId| !is_live(id) && !needed.contains(id);
        let bodies = bodies.into_iter().filter(|(_, started)| !started.iter().any(is_live));
        PrunedRows {
            workloads: workloads.into_iter().filter(|(id, _)| goes(id)).collect(),
            bodies: bodies.map(|(id, _)| id).collect(),
            deliveries,
            keys,
            records,
            sessions,
        }
    }

    /// Runners that were silent for so long, have nothing, and that nobody took out; the first of them.
    fn gone_runners(&self, gone: GoneRunners) -> Vec<RunnerId> {
        let has = |id: RunnerId| {
            let mut leases = self.rows.jobs.values().filter_map(|job| job.lease());
            leases.any(|lease| lease.runner_id == id)
        };
        let is_gone = |id: &RunnerId| {
            let (row, known) = (&self.rows.runners[id], &self.known.runners[id]);
            let silent_ms = self.now.mono_ms - known.seen_at_ms;
            let in_use = known.parked.is_some() || row.cordoned.is_some() || row.draining;
            known.offline && !in_use && !has(*id) && silent_ms >= gone.silent_ms
        };
        let found = self.rows.runners.keys().copied().filter(is_gone);
        found.take(if gone.dry_run { usize::MAX } else { gone.max }).collect()
    }

    /// Processes whose runners are no longer known have to say hello again.
    fn processes_leave(&mut self, gone: &[RunnerId]) {
        for process in &mut self.processes {
            if process.id.is_some_and(|id| gone.contains(&id)) {
                process.id = None;
                let held = std::mem::take(&mut process.held);
                process.stale.extend(held);
            }
        }
    }

    fn mark_kept(&mut self, asked: &Prune, expected: &PrunedRows) {
        let live = asked.workloads.iter().any(|(id, _)| self.rows.workloads.contains_key(id));
        let kept = asked.workloads.iter().filter(|it| !expected.workloads.contains(it));
        let needed = kept.clone().any(|(id, _)| self.rows.done_workloads.contains_key(id));
        let marks: BTreeMap<_, _> = [
            ("live workload not pruned", live),
            ("needed workload not pruned", needed),
            ("body of live work not pruned", expected.bodies.len() < asked.bodies.len()),
            ("workload pruned", !expected.workloads.is_empty()),
            ("body pruned", !expected.bodies.is_empty()),
            ("delivery pruned", !expected.deliveries.is_empty()),
            ("key pruned", !expected.keys.is_empty()),
        ]
        .into();
        for (what, _) in marks.into_iter().filter(|(_, there)| *there) {
            self.reached.mark(what);
        }
    }
}

fn delivery(number: u128, received_at_ms: i64, plan: Plan) -> Deliver {
    let verdict = |trigger: &str| TriggerVerdict {
        trigger: trigger.to_owned(),
        matched: true,
        why: "sim".to_owned(),
        workload_id: None,
    };
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::from_u128(number)),
        source: "sim".into(),
        external_id: Some(number.to_string().into()),
        event_kind: "push".into(),
        action: None,
        state: DeliveryState::Dispatched,
        reason: None,
        verdicts: plan.workloads.iter().map(|it| verdict(&it.trigger)).collect(),
        trust: Trust::default(),
        tenant_id: TenantId::DEFAULT,
        replay_of: None,
        attempts: 1,
        received_at_ms,
        headers: "{}".into(),
        event: None,
        traceparent: None,
        approval: None,
        body: Body::Inline(bytes::Bytes::from_static(b"{}")),
    };
    let (key, ended) = (Some(key_of(number)), Vec::new());
    Deliver { delivery, plan, key, ended, adopted: false, about: None }
}

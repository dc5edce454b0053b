//! The whole queue in order: what would be given out after what. A read for people.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{JobQueue, Scene, line};
use crate::model::{ClassId, JobId, JobPriority, TenantId};
use crate::queue::Shares;

/// A job where it stands among those that wait, or would stand if it were in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queued {
    /// Its number; of one that is in no lane, any that no other has.
    pub job_id: JobId,
    /// Its class; of one that is in no lane, any.
    pub class_id: ClassId,
    /// Who would be charged.
    pub tenant_id: TenantId,
    /// The level of its lane.
    pub level: JobPriority,
    /// Its lane key.
    pub lane_key: i64,
}

/// What is left of a lane, or of one job.
enum Rest<'a> {
    Lane(line::Iter<'a>),
    One(Option<(i64, JobId)>),
}

impl Iterator for Rest<'_> {
    type Item = (i64, JobId);

    fn next(&mut self) -> Option<(i64, JobId)> {
        match self {
            Self::Lane(rest) => rest.next(),
            Self::One(rest) => rest.take(),
        }
    }
}

impl JobQueue {
    /// Jobs of some classes in the order in which they would be given out if any runner could have
    /// them, each charged to its tenant what `charge_ms` says of its class; as long as `visit` says
    /// so. It looks at the head of every lane once, and then at one lane for each job. `newcomers`
    /// are met as if each stood in a lane of its own.
    pub fn walk<'a>(
        &'a self,
        scenes: impl Iterator<Item = (ClassId, Scene<'a>)>,
        newcomers: &[(Queued, Scene<'a>)],
        mut shares: Shares,
        charge_ms: impl Fn(ClassId) -> i64,
        mut visit: impl FnMut(&Queued) -> bool,
    ) {
        let mut lanes = Vec::new();
        let mut known = Vec::new();
        for (class_id, scene) in scenes {
            let Some(class) = self.classes.get(&class_id) else { continue };
            let scene_at = known.len();
            known.push((scene, charge_ms(class_id)));
            for (level, tenant, lane) in class.lanes() {
                lanes.push(((class_id, tenant, level, scene_at), Rest::Lane(lane.iter())));
            }
            for &(level, key, id, tenant) in &class.barred {
                lanes.push(((class_id, tenant, level, scene_at), Rest::One(Some((key, id)))));
            }
        }
        for (new, scene) in newcomers {
            let one = Rest::One(Some((new.lane_key, new.job_id)));
            lanes.push(((new.class_id, new.tenant_id, new.level, known.len()), one));
            known.push((*scene, charge_ms(new.class_id)));
        }
        let place = |shares: &Shares, (class, tenant, level, scene): (_, _, _, usize), at| {
            Scene { shares, ..known[scene].0 }.head_at(class, tenant, level, at).key
        };
        let mut heap = BinaryHeap::with_capacity(lanes.len());
        for (number, (lane, rest)) in lanes.iter_mut().enumerate() {
            heap.extend(rest.next().map(|at| Reverse((place(&shares, *lane, at), number))));
        }
        while let Some(Reverse((key, number))) = heap.pop() {
            let (lane, rest) = &mut lanes[number];
            let lane = *lane;
            let now = place(&shares, lane, (key.1, key.2));
            if now != key {
                heap.push(Reverse((now, number)));
                continue;
            }
            let (class_id, tenant_id, level, scene) = lane;
            let met = Queued { job_id: key.2, class_id, tenant_id, level, lane_key: key.1 };
            if !visit(&met) {
                return;
            }
            shares.charge(tenant_id, known[scene].1);
            heap.extend(rest.next().map(|at| Reverse((place(&shares, lane, at), number))));
        }
    }
}

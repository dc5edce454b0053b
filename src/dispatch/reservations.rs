//! Reservations: what is freed of a resource is kept for the head of its queue, once others have
//! overtaken it too often.

use super::scheduler::Scheduler;
use crate::model::{ClassId, JobId, Now};

impl Scheduler {
    /// A job takes units of resources: whoever waits for them in front of it was overtaken.
    pub(super) fn count_overtaking(&mut self, now: Now, id: JobId, class: ClassId) {
        let Some(needs) = self.index.requirements(class) else { return };
        if needs.resources.is_empty() {
            return;
        }
        for need in needs.resources.clone() {
            if let Some(first) = self.head_of_resource(now, &need.name).filter(|it| *it != id) {
                self.resources.overtook(&need.name, first, self.settings.overtake_max);
            }
        }
    }

    /// The most urgent of the jobs that wait for a resource and could run but for resources.
    fn head_of_resource(&mut self, now: Now, name: &str) -> Option<JobId> {
        let classes = self.resources.classes(name).filter(|class| self.somebody_is_there(*class));
        let classes: Vec<_> = classes.collect();
        let heads = classes.into_iter().filter_map(|class| self.first_of_class(now, class));
        heads.min().map(|urgency| urgency.3)
    }

    /// Whether some runner takes new jobs of a class, busy or not.
    fn somebody_is_there(&self, class: ClassId) -> bool {
        let mut runners = self.index.runners(class).filter_map(|slot| self.runners.at(slot));
        runners.any(|it| !it.offline && it.takes_new() && !self.pool_is_paused(it.row.pool_id))
    }

    /// A reservation stands while its job is the head of the resource's queue. A job that cannot
    /// run, or that others have come before, would keep the units from everybody.
    pub(super) fn check_reservations(&mut self, now: Now) {
        for (name, job) in self.resources.reservations() {
            if self.head_of_resource(now, &name) != Some(job) {
                let classes = self.resources.unreserve(&name);
                self.opened(classes);
            }
        }
    }
}

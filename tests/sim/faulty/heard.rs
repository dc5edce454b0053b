//! Faults in what the scheduler hears.

use dispatchyard::dispatch::{Command, Reply};
use dispatchyard::model::{LeaseRef, PlannedJob};

use super::{Core, Fault};

impl Core {
    /// The command that the scheduler hears, or what is answered without it.
    pub(super) fn hear(&mut self, mut command: Command) -> Result<Command, Reply> {
        match &mut command {
            Command::Start(lease)
            | Command::Complete { lease, .. }
            | Command::Release { lease, .. } => self.tamper_with_lease(lease),
            Command::Poll(poll) if self.has(Fault::RepeatForgotten) => {
                poll.known = self.owners.keys().copied().collect();
            }
            Command::Undelivered(_) if self.has(Fault::UndeliveredKept) => return Err(Reply::Done),
            Command::Submit { workload, .. } if self.has(Fault::GroupOffByOne) => {
                if let Some(group) = &mut workload.terms.group {
                    group.limit += 1;
                }
                one_more(&mut workload.jobs);
            }
            Command::Join { jobs, .. } if self.has(Fault::GroupOffByOne) => one_more(jobs),
            Command::PatchRunner { runner_id, cordoned: Some(cordoned), .. }
                if self.has(Fault::CordonIgnored) =>
            {
                match cordoned.take() {
                    Some(why) => drop(self.cordons.insert(*runner_id, why)),
                    None => drop(self.cordons.remove(runner_id)),
                }
            }
            _ => {}
        }
        Ok(command)
    }

    fn tamper_with_lease(&self, lease: &mut LeaseRef) {
        let Some(owner) = self.owners.get(&lease.token) else { return };
        if self.has(Fault::NonceIgnored) {
            lease.nonce = owner.nonce;
        }
        let live = self.job(owner.job_id).and_then(|job| job.lease());
        if let Some(live) = live.filter(|_| self.has(Fault::NoFence)) {
            *lease = LeaseRef { token: live.token, nonce: live.nonce, runner_id: live.runner_id };
        }
    }
}

fn one_more(jobs: &mut [PlannedJob]) {
    for group in jobs.iter_mut().filter_map(|job| job.terms.group.as_mut()) {
        group.limit += 1;
    }
}

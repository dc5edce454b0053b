//! What is asked of provisioners, and what follows from their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Death, FleetSetup, Keeper, Outcome, Work, bounded};
use crate::dispatch::{Command, OrderedRunner};
use crate::executor::provisioner::{Provisioned, Provisioner};
use crate::model::RunnerId;
use crate::runner::MemberState;

/// How long one that could not be taken down is left alone.
const DESTROY_AGAIN_MS: i64 = 5_000;

impl Keeper {
    /// Has a runner taken down that is to leave.
    pub(super) async fn take_down(&self, work: &mut Work, runner: &OrderedRunner) {
        if work.creating.contains(&runner.id) {
            return;
        }
        match self.fleets.get(&runner.fleet) {
            Some(setup) => {
                let (provisioner, id) = (Arc::clone(&setup.provisioner), runner.id);
                self.destroy(work, provisioner, runner.name.clone(), Some((id, None)));
            }
            None => {
                tracing::warn!(
                    name = &*runner.name,
                    "this runner is forgotten and not taken down: its provisioner is not configured"
                );
                self.send(Command::RunnerGone(runner.id)).await;
            }
        }
    }

    /// Takes a runner down, and says afterwards that it is gone; first that it had died, where it had.
    fn destroy(
        &self,
        work: &mut Work,
        provisioner: Arc<dyn Provisioner>,
        name: Box<str>,
        whose: Option<(RunnerId, Option<String>)>,
    ) {
        let now_ms = self.mono_ms();
        if work.spared.get(&name).is_some_and(|at_ms| now_ms < *at_ms)
            || !work.destroying.insert(name.clone())
        {
            return;
        }
        let death = whose.map(|(id, why)| Death { id, why: why.unwrap_or_default() });
        work.tasks.spawn(async move {
            let destroyed = bounded::destroy(&*provisioner, &name).await;
            Outcome::Destroyed(name, death, destroyed)
        });
    }

    /// Asks each provisioner whose time has come what runs.
    pub(super) fn list(&self, work: &mut Work) {
        let now_ms = self.mono_ms();
        for setup in self.fleets.values() {
            let name: Box<str> = setup.provisioner.name().into();
            if work.next_list.get(&name).is_some_and(|at_ms| now_ms < *at_ms)
                || !work.listing.insert(name.clone())
            {
                continue;
            }
            let provisioner = Arc::clone(&setup.provisioner);
            let creating = work.creating.clone();
            work.tasks.spawn(async move {
                let listed = bounded::list(&*provisioner).await;
                Outcome::Listed(name, creating, listed)
            });
        }
    }

    /// Draws the conclusions of what has ended.
    pub(super) async fn conclude(
        &self,
        work: &mut Work,
        ended: Result<Outcome, tokio::task::JoinError>,
    ) {
        match ended {
            Err(error) => {
                tracing::error!(%error, "a fault in a provisioner");
                // Whose it was is not known: what goes on is asked for again, which does no harm.
                work.creating.clear();
                work.destroying.clear();
                work.listing.clear();
            }
            Ok(Outcome::Created(id, fleet, Ok(()))) => {
                work.creating.remove(&id);
                work.created.insert(id, fleet);
            }
            Ok(Outcome::Created(id, fleet, Err(error))) => {
                work.creating.remove(&id);
                self.failed(&fleet, &error.to_string()).await;
                self.retire(id, &format!("it was not started: {error}"), false).await;
            }
            Ok(Outcome::Destroyed(name, death, Ok(()))) => {
                work.destroying.remove(&name);
                let Some(Death { id, why }) = death else { return };
                if !why.is_empty() {
                    self.retire(id, &why, true).await;
                }
                self.send(Command::RunnerGone(id)).await;
            }
            Ok(Outcome::Destroyed(name, _, Err(error))) => {
                work.destroying.remove(&name);
                tracing::warn!(%error, name = &*name, "a runner was not taken down: again later");
                work.spared.insert(name, self.mono_ms() + DESTROY_AGAIN_MS);
            }
            Ok(Outcome::Listed(provisioner, creating, listed)) => {
                work.listing.remove(&provisioner);
                let next_ms = self.mono_ms() + self.list_interval_ms;
                work.next_list.insert(provisioner.clone(), next_ms);
                match listed {
                    Ok(found) => self.compare(work, &provisioner, &creating, found).await,
                    Err(error) => {
                        tracing::warn!(%error, provisioner = &*provisioner, "what runs is not known");
                    }
                }
            }
        }
    }

    /// Compares what a backend has with what was ordered.
    async fn compare(
        &self,
        work: &mut Work,
        provisioner: &str,
        creating: &BTreeSet<RunnerId>,
        found: Vec<Provisioned>,
    ) {
        let of = |setup: &&FleetSetup| *setup.provisioner.name() == *provisioner;
        let Some(setup) = self.fleets.values().find(of) else { return };
        // Asked afterwards: whatever was found had its row before.
        let Some(plan) = self.plan().await else { return };
        let rows: BTreeMap<&str, &OrderedRunner> =
            plan.ordered.iter().map(|runner| (&*runner.name, runner)).collect();
        for Provisioned { name, ended } in &found {
            let destroy = |work: &mut Work, whose| {
                let provisioner = Arc::clone(&setup.provisioner);
                self.destroy(work, provisioner, name.as_str().into(), whose);
            };
            match (rows.get(name.as_str()), ended) {
                (None, _) if name.starts_with(&self.prefix) => {
                    tracing::info!(name, "a runner that nobody ordered any more is taken down");
                    destroy(work, None);
                }
                (Some(runner), Some(why)) if runner.state != MemberState::Leaving => {
                    // It was looked at in the middle of its start.
                    if creating.contains(&runner.id) || work.creating.contains(&runner.id) {
                        continue;
                    }
                    if work.created.remove(&runner.id).is_some()
                        || runner.state == MemberState::Starting
                    {
                        self.failed(&runner.fleet, why).await;
                    }
                    destroy(work, Some((runner.id, Some(why.clone()))));
                }
                _ => {}
            }
        }
        let there: BTreeSet<&str> = found.iter().map(|it| it.name.as_str()).collect();
        for runner in plan.ordered.iter().filter(|it| it.state == MemberState::Starting) {
            let is_ours = self.fleets.get(&runner.fleet).as_ref().is_some_and(of);
            let is_known =
                work.creating.contains(&runner.id) || work.created.contains_key(&runner.id);
            if is_ours && !is_known && !there.contains(&*runner.name) {
                let why = "the server that ordered it has ended before it was started";
                self.retire(runner.id, why, false).await;
            }
        }
    }
}

//! The match: ready jobs to waiting runners, once after each batch of commands.
//!
//! Always the next job in dispatch order that any waiting runner fits, to the waiting runner that
//! the policy prefers. Since a runner's load grows with each job, queued work spreads over all
//! waiting polls one by one before any poll is filled.
//!
//! Before a batch no ready job has a fitting waiting runner, so afterwards only classes with a
//! newly ready job, and classes that fit a runner which newly waits, need a look. A naive matcher
//! in `tests/sim` that looks at everything must choose the same.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::output::Answer;
use super::scheduler::Scheduler;
use crate::model::{ClassId, Entropy, Now, RunnerId};
use crate::queue::Order;
use crate::runner::RunnerSlot;

impl Scheduler {
    /// Matches, and answers the polls that were given something or asked not to wait.
    pub fn settle(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.match_jobs(now, entropy);
        for slot in std::mem::take(&mut self.to_answer) {
            let Some(runner) = self.runners.at(slot) else { continue };
            let Some(parked) = runner.parked else { continue };
            let drain = runner.row.draining;
            let has_news = !runner.given.is_empty() || !runner.cancels.is_empty() || drain;
            if !has_news && parked.until_ms > now.mono_ms {
                continue;
            }
            if let Some((poll_id, jobs, cancel)) = self.runners.unpark(slot) {
                self.out.answers.push(Answer { poll_id, jobs, cancel, drain });
            }
        }
        let jobs = &self.jobs;
        self.waits.trim(|id| jobs.get(&id).and_then(|job| super::view::waits_since(&job.row)));
    }

    fn match_jobs(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let mut heads = self.heads_to_look_at();
        while let Some(Reverse((order, class))) = heads.pop() {
            if self.leases.len() as u64 >= self.settings.max_global_concurrency {
                self.stopped_at_capacity = true;
                return;
            }
            // Whoever waits next makes the next match look at everything that fits.
            if self.runners.waiting_len() == 0 {
                return;
            }
            let job = &self.jobs[&order.job_id].row;
            let avoid = job.avoid_runner_id;
            let chosen = self.choose(class, avoid);
            if let Some(slot) = chosen {
                self.unplace(order.job_id);
                self.assign(now, order.job_id, slot, entropy);
            }
            // A lane whose head finds nobody is done: its other jobs would find the same nobody.
            // A barred job was looked at by itself.
            if chosen.is_some()
                && avoid.is_none()
                && let Some(next) = self.queue.head(class)
            {
                heads.push(Reverse((next, class)));
            }
        }
    }

    /// Heads of lanes, and barred jobs, that may have found a runner since the last match.
    fn heads_to_look_at(&mut self) -> BinaryHeap<Reverse<(Order, ClassId)>> {
        let mut classes = std::mem::take(&mut self.fresh_classes);
        let newly_waiting = self.runners.take_newly_waiting();
        let room = (self.leases.len() as u64) < self.settings.max_global_concurrency;
        if self.look_everywhere || (self.stopped_at_capacity && room) {
            self.look_everywhere = false;
            self.stopped_at_capacity &= !room;
            classes = self.queue.classes().collect();
        } else if !newly_waiting.is_empty() {
            let new: BTreeSet<_> = newly_waiting.into_iter().collect();
            let fits = |class: &ClassId| new.iter().any(|slot| self.index.fits(*class, *slot));
            classes.extend(self.queue.classes().filter(fits));
        }
        if self.runners.waiting_len() == 0 {
            return BinaryHeap::new();
        }
        let mut heads = BinaryHeap::with_capacity(classes.len());
        for class in classes {
            heads.extend(self.queue.head(class).map(|order| Reverse((order, class))));
            heads.extend(self.queue.barred(class).map(|order| Reverse((order, class))));
        }
        heads
    }

    /// The waiting runner that gets the next job of a class, if one fits. A runner to avoid is
    /// chosen only when no other that is online could take the job at all.
    fn choose(&self, class: ClassId, avoid: Option<RunnerId>) -> Option<RunnerSlot> {
        let avoided = avoid.and_then(|id| self.runners.slot(id));
        let waiting = self.runners.waiting_len();
        let fitting = self.index.runners_len(class);
        let other = if fitting * 8 < waiting {
            let ranked = self.index.runners(class).filter(|slot| Some(*slot) != avoided);
            ranked.filter_map(|slot| Some((self.runners.rank(slot)?, slot))).min().map(|it| it.1)
        } else {
            let mut fits = self.runners.waiting().filter(|slot| self.index.fits(class, *slot));
            fits.find(|slot| Some(*slot) != avoided)
        };
        other.or_else(|| {
            let avoided = avoided.filter(|slot| self.runners.rank(*slot).is_some())?;
            let alone = self.index.runners(class).all(|slot| {
                slot == avoided
                    || self.runners.at(slot).is_none_or(|it| it.offline || !it.takes_new())
            });
            (alone && self.index.fits(class, avoided)).then_some(avoided)
        })
    }
}

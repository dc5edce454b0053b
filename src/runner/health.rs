//! How far a runner is trusted to carry out what it is given, and when it gets nothing for a while.
//!
//! ```text
//!            percent under the minimum, and not the first fault
//!   open ----------------------------------------------------------> closed
//!    ^                                                                 |  cool-off is over
//!    |          a job is done                    a job is given        v
//!    +-------------------------- probing <------------------------- probe due
//!                                 |   |                                ^
//!         closed (twice as long) <+   +--------------------------------+
//!              a fault                  the job said nothing of the runner
//! ```
//!
//! Only what is the runner's own fault counts against it: work that fails is done as far as its
//! runner is concerned. Pure: the caller brings the time (mono). Soft state: after a crash a runner
//! may be trusted again too early, which costs a try.

use serde::{Deserialize, Serialize};

/// When a runner is closed, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthSettings {
    /// Closed below this; 0 for never.
    pub min_percent: u32,
    /// For how long at first; then one job is its probe.
    pub cool_off_ms: i64,
    /// For how long at most: each probe that goes wrong doubles the time up to this.
    pub cool_off_max_ms: i64,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { min_percent: 50, cool_off_ms: 60_000, cool_off_max_ms: 16 * 60_000 }
    }
}

/// What says something of a runner's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HealthEvent {
    /// It was given a job.
    Given,
    /// It carried a job out, whether the work went well or not.
    Done,
    /// A job ended for a reason that says nothing of the runner: cancelled, given back, requeued.
    Returned,
    /// It did not start a job in time.
    NotStarted,
    /// It did not renew a started lease in time.
    LeaseLost,
    /// It went away, or came back without its work.
    Gone,
}

/// Whether a runner may be given jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HealthGate {
    /// As many as it has room for.
    Open,
    /// One.
    Probe,
    /// None while its probe runs.
    Probing,
    /// None before that moment (mono).
    Closed {
        /// When it is due for a probe.
        until_ms: i64,
    },
}

/// A change that people are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HealthChange {
    /// It gets nothing until then (mono).
    Closed {
        /// When it is due for a probe.
        until_ms: i64,
    },
    /// It gets jobs again.
    Opened,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// Until that moment (mono), and then until a job is given.
    Closed {
        until_ms: i64,
    },
    Probing,
}

/// The health of one runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunnerHealth {
    state: State,
    /// In ten-thousandths.
    score: u32,
    /// Faults since it was opened, or was as good as new; those of one moment are one.
    faults: u32,
    /// How often in a row it was closed.
    closings: u32,
    /// When the last fault was (mono).
    fault_at_ms: Option<i64>,
}

impl Default for RunnerHealth {
    fn default() -> Self {
        Self { state: State::Open, score: Self::FULL, faults: 0, closings: 0, fault_at_ms: None }
    }
}

impl RunnerHealth {
    const FULL: u32 = 10_000;
    /// An event moves the score by one part in this many: four faults in a row take a sound runner
    /// below a half.
    const INERTIA: u32 = 5;
    /// From here on a runner counts as good as new, and closings begin again at the first cool-off.
    const RECOVERED: u32 = 9_000;

    /// In percent; 100 for a runner of which nothing is known.
    pub fn percent(&self) -> u32 {
        self.score / (Self::FULL / 100)
    }

    /// Whether it may be given jobs now.
    pub fn gate(&self, now_mono_ms: i64) -> HealthGate {
        match self.state {
            State::Open => HealthGate::Open,
            State::Probing => HealthGate::Probing,
            State::Closed { until_ms } if now_mono_ms < until_ms => HealthGate::Closed { until_ms },
            State::Closed { .. } => HealthGate::Probe,
        }
    }

    /// Takes an event in. A change of the gate is answered, but for what time and probes do.
    ///
    /// Which of a runner's jobs is the probe is not followed: while one is out, whatever ends there
    /// speaks for the runner. A runner that is cooling off stays closed though older jobs of it end
    /// well, and is not closed for longer though they are lost: that is the same trouble.
    pub fn note(
        &mut self,
        now_mono_ms: i64,
        event: HealthEvent,
        settings: &HealthSettings,
    ) -> Option<HealthChange> {
        match event {
            HealthEvent::Given => self.given(now_mono_ms),
            HealthEvent::Returned => self.returned(now_mono_ms),
            HealthEvent::Done => return self.done(settings),
            HealthEvent::NotStarted | HealthEvent::LeaseLost | HealthEvent::Gone => {
                return self.fault(now_mono_ms, settings);
            }
        }
        None
    }

    fn given(&mut self, now_mono_ms: i64) {
        if self.gate(now_mono_ms) == HealthGate::Probe {
            self.state = State::Probing;
        }
    }

    fn returned(&mut self, now_mono_ms: i64) {
        if self.state == State::Probing {
            self.state = State::Closed { until_ms: now_mono_ms };
        }
    }

    fn done(&mut self, settings: &HealthSettings) -> Option<HealthChange> {
        self.score += (Self::FULL - self.score).div_ceil(Self::INERTIA);
        match self.state {
            State::Open => {
                if self.score >= Self::RECOVERED {
                    (self.faults, self.closings) = (0, 0);
                }
                None
            }
            State::Closed { .. } => None,
            State::Probing => {
                self.state = State::Open;
                self.faults = 0;
                // Or the next fault, the first since the probe, would find it below already.
                let least = settings.min_percent.min(100) * (Self::FULL / 100);
                self.score = self.score.max(least);
                Some(HealthChange::Opened)
            }
        }
    }

    fn fault(&mut self, now_mono_ms: i64, settings: &HealthSettings) -> Option<HealthChange> {
        // A runner that dies loses all its leases at once, and has died once.
        if self.fault_at_ms.replace(now_mono_ms) != Some(now_mono_ms) {
            self.score -= self.score.div_ceil(Self::INERTIA);
            self.faults = self.faults.saturating_add(1);
        }
        let closes = match self.state {
            State::Open => self.faults > 1 && self.percent() < settings.min_percent,
            State::Closed { .. } => false,
            State::Probing => true,
        };
        closes.then(|| {
            let longest = settings.cool_off_max_ms.max(settings.cool_off_ms);
            let doubled = settings.cool_off_ms.saturating_mul(1 << self.closings.min(32));
            let until_ms = now_mono_ms.saturating_add(doubled.clamp(0, longest.max(0)));
            self.closings = self.closings.saturating_add(1);
            self.state = State::Closed { until_ms };
            HealthChange::Closed { until_ms }
        })
    }

    /// What is worth keeping over a restart, where the clock begins anew.
    pub fn save(&self, now_mono_ms: i64) -> SavedHealth {
        let closed_for_ms = match self.state {
            State::Open => None,
            State::Closed { until_ms } => Some(until_ms.saturating_sub(now_mono_ms).max(0)),
            // Its probe is known no longer; another one is due.
            State::Probing => Some(0),
        };
        let Self { score, faults, closings, .. } = *self;
        SavedHealth { score, faults, closings, closed_for_ms }
    }

    /// What was kept. Numbers that cannot be are taken for the nearest that can.
    pub fn restore(saved: SavedHealth, now_mono_ms: i64, settings: &HealthSettings) -> Self {
        let longest = settings.cool_off_max_ms.max(settings.cool_off_ms).max(0);
        let until_ms = |ms: i64| now_mono_ms.saturating_add(ms.clamp(0, longest));
        Self {
            state: saved
                .closed_for_ms
                .map_or(State::Open, |ms| State::Closed { until_ms: until_ms(ms) }),
            score: saved.score.min(Self::FULL),
            faults: saved.faults,
            closings: saved.closings,
            fault_at_ms: None,
        }
    }
}

/// A runner's health as soft state is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedHealth {
    /// In ten-thousandths.
    pub score: u32,
    /// Faults since it was opened.
    pub faults: u32,
    /// How often in a row it was closed.
    pub closings: u32,
    /// For how much longer it was closed; absent when it was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_for_ms: Option<i64>,
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;

//! Run times as JSON: soft state that outlives a restart.
//!
//! Weights are written in whole thousandths and means in single precision, so that reading gives
//! back exactly what was written. What cannot be read is refused as a whole: the caller says so and
//! starts with nothing known, which costs speed and never safety.

use serde::{Deserialize, Serialize};

use super::{ClassTimes, Known, RunTimes, RunTimesSettings, Tails, Tally};
use crate::model::{ClassId, RunnerId};

/// Why saved run times could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRunTimes {
    /// There is more of it than is ever written.
    #[error("saved run times have {bytes} bytes, more than {bytes_max}")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// It is of a version that this program does not know.
    #[error("saved run times have version {0}, not {VERSION}")]
    Version(u32),
    /// It is not JSON of that form.
    #[error("saved run times cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A number in it cannot be.
    #[error("saved run times of {of} cannot be: {numbers}")]
    Value {
        /// Of what.
        of: String,
        /// The numbers as they stand there.
        numbers: String,
    },
}

const VERSION: u32 = 1;

/// Several times what the default maximum of entries takes.
const BYTES_MAX: usize = 64 << 20;

/// More than any mean: the longest run on the fastest runner, rounded up.
const MEAN_MAX: f64 = 1.01 * RunTimes::RUN_MS_MAX as f64 * RunTimes::SPEED_MAX;

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    observed: u64,
    usual_speed: SavedTally,
    runners: Vec<SavedKnown>,
    classes: Vec<SavedClass>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedClass {
    id: ClassId,
    seen: u64,
    tally: SavedTally,
    /// Bucket, and weight in thousandths.
    tails: Vec<(u8, u32)>,
    on: Vec<SavedKnown>,
}

/// Runner, run of the class, observation, and the tally.
#[derive(Serialize, Deserialize)]
struct SavedKnown(RunnerId, u64, u64, SavedTally);

/// Total; mean; weights of the timed, of all, of the failed, in thousandths.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SavedTally(u64, f32, u32, u32, u32);

impl SavedTally {
    fn of(tally: &Tally) -> Self {
        Self(
            tally.total,
            tally.mean as f32,
            thousandths(tally.timed),
            thousandths(tally.runs),
            thousandths(tally.failed),
        )
    }

    fn read(self, of: &dyn Fn() -> String) -> Result<Tally, UnreadableRunTimes> {
        let Self(total, mean, timed, runs, failed) = self;
        let mean = f64::from(mean);
        let [timed, runs, failed] = [timed, runs, failed].map(|weight| f64::from(weight) / 1e3);
        // A tally that began with a guess has one more timed observation than runs.
        let sound = failed <= runs
            && runs <= Tally::WINDOW
            && timed <= Tally::WINDOW + 1.0
            && (0.0..=MEAN_MAX).contains(&mean)
            && (timed == 0.0 || mean > 0.0);
        if !sound {
            return Err(UnreadableRunTimes::Value { of: of(), numbers: format!("{self:?}") });
        }
        Ok(Tally { mean, timed, runs, failed, total })
    }
}

impl SavedKnown {
    fn of((id, known): (&RunnerId, &Known)) -> Self {
        Self(*id, known.at_run, known.seen, SavedTally::of(&known.tally))
    }

    fn read(&self, of: &dyn Fn() -> String) -> Result<(RunnerId, Known), UnreadableRunTimes> {
        let Self(id, at_run, seen, tally) = self;
        Ok((*id, Known { tally: tally.read(of)?, at_run: *at_run, seen: *seen }))
    }
}

impl RunTimes {
    /// As text, sorted: equal run times are equal text.
    pub fn to_json(&self) -> String {
        let mut runners: Vec<_> = self.speeds.iter().map(SavedKnown::of).collect();
        runners.sort_unstable_by_key(|known| known.0);
        let class = |(id, class): (&ClassId, &ClassTimes)| {
            let mut on: Vec<_> = class.on.iter().map(SavedKnown::of).collect();
            on.sort_unstable_by_key(|known| known.0);
            let tails = class.tails.weights.iter();
            SavedClass {
                id: *id,
                seen: class.seen,
                tally: SavedTally::of(&class.tally),
                tails: tails.map(|&(bucket, weight)| (bucket, thousandths(weight))).collect(),
                on,
            }
        };
        let mut classes: Vec<_> = self.classes.iter().map(class).collect();
        classes.sort_unstable_by_key(|class| class.id);
        let saved = Saved {
            version: VERSION,
            observed: self.observed,
            usual_speed: SavedTally::of(&self.usual_speed),
            runners,
            classes,
        };
        serde_json::to_string(&saved).unwrap_or_default()
    }

    /// From such text, with today's limits.
    ///
    /// # Errors
    ///
    /// When it is too long, of another version, no such JSON, or holds numbers that cannot be.
    pub fn from_json(text: &str, settings: RunTimesSettings) -> Result<Self, UnreadableRunTimes> {
        if text.len() > BYTES_MAX {
            let (bytes, bytes_max) = (text.len(), BYTES_MAX);
            return Err(UnreadableRunTimes::TooLong { bytes, bytes_max });
        }
        let Version { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(UnreadableRunTimes::Version(version));
        }
        let saved: Saved = serde_json::from_str(text)?;
        let mut times = Self::new(settings);
        times.observed = saved.observed;
        times.usual_speed = saved.usual_speed.read(&|| "all runners".to_owned())?;
        for runner in &saved.runners {
            let (id, known) = runner.read(&|| format!("runner {}", runner.0))?;
            times.speeds.insert(id, known);
        }
        for class in saved.classes {
            let (id, class) = class.read()?;
            times.classes.insert(id, class);
        }
        times.pairs = times.classes.values().map(|class| class.on.len()).sum();
        times.forget_old();
        Ok(times)
    }
}

impl SavedClass {
    fn read(self) -> Result<(ClassId, ClassTimes), UnreadableRunTimes> {
        let id = self.id;
        let of = || format!("class {id}");
        let rising = self.tails.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !rising || self.tails.iter().any(|(bucket, _)| *bucket >= Tails::BUCKETS) {
            return Err(UnreadableRunTimes::Value {
                of: of(),
                numbers: format!("{:?}", self.tails),
            });
        }
        let weights = self.tails.iter().map(|&(bucket, weight)| (bucket, f64::from(weight) / 1e3));
        let on = self.on.iter().map(|known| known.read(&of)).collect::<Result<_, _>>()?;
        let tails = Tails { weights: weights.collect() };
        Ok((id, ClassTimes { tally: self.tally.read(&of)?, tails, on, seen: self.seen }))
    }
}

fn thousandths(weight: f64) -> u32 {
    (weight * 1e3).round() as u32
}

//! Who gets it: the runners, what they offer, how busy they are, and which of them wait.
//!
//! Pure. [`CapabilityIndex`] answers which runners fit a class by bitmap; [`RunnerRegistry`] keeps
//! what is known of each runner now; a [`SelectionPolicy`] chooses among waiting runners that fit.

mod capability_index;
mod registry;
mod selection;

pub use capability_index::{CapabilityIndex, RunnerSlot};
pub use registry::{LiveRunner, Parked, PollId, RunnerRegistry};
pub use selection::{Candidate, LeastLoaded, SelectionPolicy};

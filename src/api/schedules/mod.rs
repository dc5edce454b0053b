//! Times at which triggers start by themselves: kept by the instance that leads, shown by all.
//!
//! ```text
//! the clock, marks and pauses -> Timed::step (pure) -> Command::Fire -> commit -> looked at again
//! ```

mod firing;
mod keep;
mod list;

pub use keep::keep_time;
pub(super) use list::list;

use crate::model::{Pause, PauseScope, TenantId};

/// The pause that keeps a trigger from starting anything.
fn pause_of<'a>(pauses: &'a [Pause], trigger: &str, tenant: TenantId) -> Option<&'a Pause> {
    pauses.iter().find(|pause| match &pause.scope {
        PauseScope::Everything => true,
        PauseScope::Trigger(name) => **name == *trigger,
        PauseScope::Tenant(id) => *id == tenant,
        PauseScope::Pool(_) => false,
    })
}

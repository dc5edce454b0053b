//! What an expression can see, and how much it may cost.

use std::cell::Cell;

use serde_json::Value;

use super::error::EvalError;

/// The steps of an evaluation, unless a scope says otherwise. Looking at something is a step, and so is each
/// byte that is made, compared or copied.
pub const FUEL_DEFAULT: u64 = 16 * 1024 * 1024;

/// How the job, or the jobs before, went so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// What `success()` says.
    pub success: bool,
    /// What `failure()` says.
    pub failure: bool,
    /// What `cancelled()` says.
    pub cancelled: bool,
}

/// What hashes the files that patterns match.
pub(super) type HashFiles<'a> = dyn Fn(&[String]) -> Result<String, String> + 'a;

/// What an expression can see: contexts, the status, files.
///
/// A context that it has not is an error for whoever asks for it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// By the place of their names in [`super::CONTEXTS`].
    contexts: [Option<&'a Value>; super::CONTEXTS.len()],
    pub(super) status: Option<Status>,
    pub(super) hash_files: Option<&'a HashFiles<'a>>,
    fuel: u64,
}

impl Default for Scope<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let have = self.contexts.iter().zip(super::CONTEXTS).filter(|(it, _)| it.is_some());
        f.debug_struct("Scope")
            .field("contexts", &have.map(|(_, name)| name).collect::<Vec<_>>())
            .field("status", &self.status)
            .field("fuel", &self.fuel)
            .finish_non_exhaustive()
    }
}

impl<'a> Scope<'a> {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        let contexts = [None; super::CONTEXTS.len()];
        Self { contexts, status: None, hash_files: None, fuel: FUEL_DEFAULT }
    }

    /// With this context, in place of the one that had the name. A name that is no context cannot be asked
    /// for, and is left out.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a Value) -> Self {
        if let Some(place) = place(name) {
            self.contexts[place] = Some(value);
        }
        self
    }

    /// With what the status functions say; `always()` is true wherever there is a status.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// With files: the hash of those that match any of the patterns, or what went wrong.
    #[must_use]
    pub fn with_hash_files(
        mut self,
        hash_files: &'a dyn Fn(&[String]) -> Result<String, String>,
    ) -> Self {
        self.hash_files = Some(hash_files);
        self
    }

    /// With this many steps for one evaluation; see [`FUEL_DEFAULT`].
    #[must_use]
    pub fn with_fuel(mut self, steps: u64) -> Self {
        self.fuel = steps;
        self
    }

    pub(super) fn context(&self, name: &'static str) -> Result<&'a Value, EvalError> {
        let value = place(name).and_then(|place| self.contexts[place]);
        value.ok_or(EvalError::NoContext(name))
    }

    pub(super) fn fuel(&self) -> Fuel {
        Fuel { left: Cell::new(self.fuel), all: self.fuel }
    }
}

fn place(name: &str) -> Option<usize> {
    super::CONTEXTS.iter().position(|it| it.eq_ignore_ascii_case(name))
}

/// The steps that are left.
pub(super) struct Fuel {
    left: Cell<u64>,
    all: u64,
}

impl Fuel {
    pub(super) fn take(&self, steps: usize) -> Result<(), EvalError> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.left.get().checked_sub(steps) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(EvalError::Fuel { fuel: self.all }),
        }
    }
}

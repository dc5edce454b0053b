//! What the workflow commands of one step have said, until its end is looked at. Pure but for the lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most outputs of one step, and their bytes together.
const OUTPUTS_MAX: usize = 100;
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// What commands have said of their step, for whoever waits for its end.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<SaidInner>);

#[derive(Debug, Default)]
struct SaidInner {
    outputs: BTreeMap<String, String>,
    output_bytes: usize,
    refused: Option<String>,
}

impl Said {
    /// The step's outputs by `::set-output`, unmasked.
    pub(super) fn take_outputs(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.lock().outputs)
    }

    /// The command that may not be used, and for which the step fails.
    pub(super) fn refused(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    /// One output more, or why it is dropped.
    pub(super) fn output(&self, name: &str, value: String) -> Result<(), String> {
        let mut inner = self.lock();
        let before = inner.outputs.get(name).map(|old| name.len() + old.len());
        let is_new = before.is_none();
        let bytes = inner.output_bytes - before.unwrap_or(0) + name.len() + value.len();
        if bytes > OUTPUT_BYTES_MAX || (is_new && inner.outputs.len() == OUTPUTS_MAX) {
            return Err(format!(
                "output `{name}` is dropped: a step has at most {OUTPUTS_MAX} outputs of \
                 {OUTPUT_BYTES_MAX} bytes together"
            ));
        }
        inner.output_bytes = bytes;
        inner.outputs.insert(name.to_owned(), value);
        Ok(())
    }

    /// The step fails for that; what was refused first is told.
    pub(super) fn refuse(&self, why: &str) {
        self.lock().refused.get_or_insert_with(|| why.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, SaidInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

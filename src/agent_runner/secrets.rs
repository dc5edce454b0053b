//! Which values are secret: the runner's own, which every job's log must not show, and those that
//! a job names itself. Pure but for the lock that the streams of a job share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::mask::{MaskStream, Matcher};
use super::secret_forms::{forms, is_too_short};

/// The most values that one job can add, and their bytes together: each of them compiles all that
/// is looked for anew.
pub(super) const ADDED_VALUES_MAX: usize = 100;
pub(super) const ADDED_BYTES_MAX: usize = 16 * 1024;

/// What became of a value that a job named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    Masked,
    /// Shorter than `SECRET_BYTES_MIN`.
    TooShort,
    /// The job has named too many, or too long ones.
    TooMany,
}

/// Secret values, over those of a parent: the operator's, the runner's credentials, a job's.
#[derive(Default)]
pub(crate) struct Secrets {
    parent: Option<Arc<Secrets>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    forms: BTreeSet<Vec<u8>>,
    /// How many values a job has added, and their bytes.
    added: (usize, usize),
    /// Grows with each change.
    version: u64,
    /// What was compiled last, of which version of this and its parents.
    matcher: Option<(u64, Arc<Matcher>)>,
}

impl Secrets {
    /// With these values.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Arc<Self> {
        let secrets = Self::default();
        secrets.replace(values);
        Arc::new(secrets)
    }

    /// None yet, beside the parent's.
    pub(super) fn under(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { parent: Some(Arc::clone(parent)), inner: Mutex::default() })
    }

    /// Other values in the place of these.
    pub(super) fn replace<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) {
        let forms = values.into_iter().flat_map(forms).collect();
        let mut inner = self.lock();
        if inner.forms != forms {
            inner.forms = forms;
            inner.version += 1;
        }
    }

    /// One value more, named by a job.
    pub(super) fn add(&self, value: &[u8]) -> Added {
        if is_too_short(value) {
            return Added::TooShort;
        }
        let mut inner = self.lock();
        let (values, bytes) = (inner.added.0 + 1, inner.added.1 + value.len());
        if values > ADDED_VALUES_MAX || bytes > ADDED_BYTES_MAX {
            return Added::TooMany;
        }
        inner.added = (values, bytes);
        inner.forms.extend(forms(value));
        inner.version += 1;
        Added::Masked
    }

    /// A text without secrets.
    pub(super) fn mask(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask_bytes(text.as_bytes())).into_owned()
    }

    /// Bytes without secrets.
    pub(super) fn mask_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(bytes.len());
        let mut stream = MaskStream::new(self.matcher());
        stream.push(bytes, &mut masked);
        stream.finish(&mut masked);
        masked
    }

    /// Changes whenever there is something else to look for.
    pub(super) fn version(&self) -> u64 {
        // Each number only grows, so their sum is another one after any change.
        self.lock().version + self.parent.as_ref().map_or(0, |parent| parent.version())
    }

    /// Everything to look for, the parents' included.
    pub(super) fn matcher(&self) -> Arc<Matcher> {
        let version = self.version();
        let mut inner = self.lock();
        if let (Some(parent), true) = (&self.parent, inner.forms.is_empty()) {
            return parent.matcher();
        }
        if let Some((of, matcher)) = &inner.matcher
            && *of == version
        {
            return Arc::clone(matcher);
        }
        let mut all = inner.forms.clone();
        if let Some(parent) = &self.parent {
            parent.collect(&mut all);
        }
        let matcher = Arc::new(Matcher::new(&all));
        inner.matcher = Some((version, Arc::clone(&matcher)));
        matcher
    }

    fn collect(&self, all: &mut BTreeSet<Vec<u8>>) {
        all.extend(self.lock().forms.iter().cloned());
        if let Some(parent) = &self.parent {
            parent.collect(all);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing of what is secret.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_masks_its_own_values_and_those_of_its_parents_as_they_change() {
        let operator = Secrets::new([&b"npm-token"[..]]);
        let runner = Secrets::under(&operator);
        let (job, other) = (Secrets::under(&runner), Secrets::under(&runner));
        let text = "npm-token first-token second-token named";
        assert_eq!(job.mask(text), "*** first-token second-token named");
        runner.replace([&b"first-token"[..]]);
        assert_eq!(job.mask(text), "*** *** second-token named");
        assert_eq!(job.add(b"named"), Added::Masked);
        runner.replace([&b"second-token"[..]]);
        assert_eq!(job.mask(text), "*** first-token *** ***");
        assert_eq!(other.mask(text), "*** first-token *** named");
    }

    #[test]
    fn what_a_job_can_add_is_bounded() {
        let job = Secrets::default();
        assert_eq!(job.add(b" abc\n"), Added::TooShort);
        for value in 0..ADDED_VALUES_MAX {
            assert_eq!(job.add(format!("value {value}").as_bytes()), Added::Masked);
        }
        assert_eq!(job.add(b"one more"), Added::TooMany);
        assert_eq!(Secrets::default().add(&[b'x'; ADDED_BYTES_MAX + 1]), Added::TooMany);
        assert_eq!(job.mask("one more value 7"), "one more ***");
    }
}

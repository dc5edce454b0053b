//! Names that many rows have: written once, shared by all.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashSet;

/// A name of a job, a workload or a trigger. A clone shares the text; the pointer is a thin one,
/// because a million rows have three of them each.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<Box<str>>);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<Box<str>> for Name {
    fn from(text: Box<str>) -> Self {
        Self(Arc::new(text))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Box::<str>::from(text).into()
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        text.into_boxed_str().into()
    }
}

impl From<Name> for Box<str> {
    fn from(name: Name) -> Self {
        Self::clone(&name.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        (*name).to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// All names in use, each once.
#[derive(Clone, Debug)]
pub struct Names {
    known: FxHashSet<Name>,
    /// Looks for names that nobody has any more when it knows so many.
    trim_at: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self { known: FxHashSet::default(), trim_at: Self::KEPT_MIN }
    }
}

impl Names {
    /// Fewer names than this are never forgotten.
    const KEPT_MIN: usize = 1_024;

    /// The name with this text that others have, or a new one.
    pub fn share(&mut self, text: &str) -> Name {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let name = Name::from(text);
        self.learn(name.clone());
        name
    }

    /// Makes a name the one with the same text that others have.
    pub fn unify(&mut self, name: &mut Name) {
        match self.known.get(&**name) {
            Some(known) if Arc::ptr_eq(&known.0, &name.0) => {}
            Some(known) => *name = known.clone(),
            None => self.learn(name.clone()),
        }
    }

    fn learn(&mut self, name: Name) {
        if self.known.len() >= self.trim_at {
            self.known.retain(|name| Arc::strong_count(&name.0) > 1);
            self.known.shrink_to_fit();
            self.trim_at = (2 * self.known.len()).max(Self::KEPT_MIN);
        }
        self.known.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once() {
        let mut names = Names::default();
        let (one, other) = (names.share("build"), names.share("build"));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let mut own = Name::from("build");
        assert_eq!(one, own);
        names.unify(&mut own);
        assert!(Arc::ptr_eq(&one.0, &own.0));
        assert_ne!(one, names.share("test"));
        assert_eq!(format!("{one:>7}|{one:?}"), "  build|\"build\"");
    }

    #[test]
    fn names_that_nobody_has_are_forgotten() {
        let mut names = Names::default();
        let kept = names.share("kept");
        for number in 0..10 * Names::KEPT_MIN {
            names.share(&number.to_string());
            assert!(names.known.len() <= Names::KEPT_MIN);
        }
        assert!(Arc::ptr_eq(&kept.0, &names.share("kept").0));
    }
}

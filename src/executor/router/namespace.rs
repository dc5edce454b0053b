//! The name by which rules find a job.

use std::fmt;

/// What parts the segments of a name, and of a pattern.
pub const SEPARATOR: &str = "::";

/// A job's name for routing: `tenant::kind::workload::job`, with the names of its `namespace` between
/// kind and workload. It has at least [`Namespace::SEGMENTS_MIN`] segments.
///
/// Names are others' text. A colon in one that could be taken for a part of the separator, because
/// it stands beside another or at an end, is written as `%3A`, so nobody gets a segment more than it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    segments: Vec<Box<str>>,
}

impl Namespace {
    /// Tenant, kind, workload and job.
    pub const SEGMENTS_MIN: usize = 4;

    /// The name of a job; `more` are the segments of its `namespace`.
    pub fn new<'a>(
        tenant: &'a str,
        kind: &'a str,
        more: impl IntoIterator<Item = &'a str>,
        workload: &'a str,
        job: &'a str,
    ) -> Self {
        let more = more.into_iter();
        let parts = [tenant, kind].into_iter().chain(more).chain([workload, job]);
        Self { segments: parts.map(escaped).collect() }
    }

    /// The name that somebody wrote, to try it.
    ///
    /// # Errors
    ///
    /// It has too few segments to be a job's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = Self::of_any(text);
        if name.segments.len() < Self::SEGMENTS_MIN {
            return Err(format!(
                "`{text}` has {} segments, a job's name at least {}: tenant::kind::workload::job",
                name.segments.len(),
                Self::SEGMENTS_MIN
            ));
        }
        Ok(name)
    }

    /// A name that need not be a job's: with any number of segments, at least one.
    pub(super) fn of_any(text: &str) -> Self {
        Self { segments: text.split(SEPARATOR).map(Into::into).collect() }
    }

    /// The tenant whose job it is.
    pub fn tenant(&self) -> &str {
        &self.segments[0]
    }

    /// Its segments, in order.
    pub fn segments(&self) -> &[Box<str>] {
        &self.segments
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join(SEPARATOR))
    }
}

fn escaped(part: &str) -> Box<str> {
    if !part.contains(':') {
        return part.into();
    }
    let colon = |at: Option<usize>| at.is_none_or(|at| part.as_bytes().get(at) == Some(&b':'));
    let mut text = String::with_capacity(part.len() + 4);
    for (at, letter) in part.char_indices() {
        let ends = at + 1 == part.len();
        if letter == ':' && (colon(at.checked_sub(1)) || ends || colon(Some(at + 1))) {
            text.push_str("%3A");
        } else {
            text.push(letter);
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(job: &str) -> String {
        Namespace::new("acme", "workflow", ["ml"], "build", job).to_string()
    }

    #[test]
    fn a_name_has_a_segment_for_each_part() {
        assert_eq!(name("test"), "acme::workflow::ml::build::test");
        let read = Namespace::parse(&name("test")).unwrap();
        assert_eq!(read, Namespace::new("acme", "workflow", ["ml"], "build", "test"));
        let error = Namespace::parse("a::b::c").unwrap_err();
        assert_eq!(
            error,
            "`a::b::c` has 3 segments, a job's name at least 4: tenant::kind::workload::job"
        );
    }

    #[test]
    fn a_colon_in_a_part_never_makes_a_segment() {
        assert_eq!(name("repo:app"), "acme::workflow::ml::build::repo:app");
        assert_eq!(name("a::gpu::b"), "acme::workflow::ml::build::a%3A%3Agpu%3A%3Ab");
        assert_eq!(name(":a:"), "acme::workflow::ml::build::%3Aa%3A");
        assert_eq!(name(":"), "acme::workflow::ml::build::%3A");
        for job in ["a:::b", "::", ":", "a:", "ä::ö", "x"] {
            let made = Namespace::new("acme", "workflow", [], "build", job);
            assert_eq!(Namespace::parse(&made.to_string()).unwrap(), made, "{job}");
        }
    }
}

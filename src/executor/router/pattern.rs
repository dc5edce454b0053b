//! Patterns of names.
//!
//! Segments are parted by `::`. In a segment `*` stands for any letters, none too; a segment `**`
//! stands for any segments, none too; everything else is itself, with regard to case. This is no
//! file's glob, so no library for those fits: `/` is a letter here, and so are `?`, `[` and `{`.
//!
//! A match looks at each segment of the name from left to right and never goes back further than to
//! the last `**`: no pattern makes it slow.

use std::fmt;

use super::namespace::{Namespace, SEPARATOR};

/// The most letters of a pattern.
const LETTERS_MAX: usize = 1_024;
/// What the second segment of a name is.
const KINDS: [&str; 2] = ["workflow", "agent"];

/// A pattern that some job's name could match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    /// `**`
    Any,
    /// The texts between its stars: one without a star.
    Glob(Vec<Box<str>>),
}

/// Why a text is no pattern, and what is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Pattern {
    /// Reads a pattern of jobs' names.
    ///
    /// # Errors
    ///
    /// As [`Pattern::of_any_name`]; it can match no job's name.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let refuse =
            |message: String, hint: String| Err(PatternError { message, hint: Some(hint) });
        let pattern = Self::of_any_name(text)?;
        let segments = &pattern.segments;
        let many = segments.len();
        let open = segments.contains(&Segment::Any);
        if !open && many < Namespace::SEGMENTS_MIN {
            let min = Namespace::SEGMENTS_MIN;
            let message = format!(
                "`{text}` matches no job: it has fewer segments ({many}) than every name ({min} or more)"
            );
            return refuse(message, format!("write `{}`", opened(text)));
        }
        if let [first, second @ Segment::Glob(_), ..] = &segments[..]
            && *first != Segment::Any
            && !KINDS.iter().any(|kind| second.matches(kind))
        {
            let message = format!(
                "`{text}` matches no job: the second segment of every name is {}",
                KINDS.join(" or ")
            );
            return refuse(message, format!("write `{}`", opened(text)));
        }
        Ok(pattern)
    }

    /// Reads a pattern of names that need not be jobs': with any number of segments.
    ///
    /// # Errors
    ///
    /// It is empty or too long, or has an empty segment.
    pub fn of_any_name(text: &str) -> Result<Self, PatternError> {
        let refuse = |message: String| Err(PatternError { message, hint: None });
        if text.len() > LETTERS_MAX {
            return refuse(format!("{} letters, at most {LETTERS_MAX}", text.len()));
        }
        let mut segments: Vec<Segment> = Vec::new();
        for part in text.split(SEPARATOR) {
            if part.is_empty() {
                return refuse(format!("`{text}` has an empty segment"));
            }
            let segment = match part {
                "**" => Segment::Any,
                part => Segment::Glob(pieces(part)),
            };
            // Two of them say no more than one.
            if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
                segments.push(segment);
            }
        }
        Ok(Self { segments })
    }

    /// Whether some job of this tenant could be meant.
    pub fn may_be_about(&self, tenant: &str) -> bool {
        self.segments.first().is_some_and(|first| first.matches(tenant))
    }

    /// Whether a job of this name is meant.
    pub fn matches(&self, name: &Namespace) -> bool {
        self.miss(name).is_none()
    }

    /// The first of its segments that finds no place in the name; `None` when all do.
    pub fn miss(&self, name: &Namespace) -> Option<Miss> {
        let names = name.segments();
        // Where to go on after the last `**`: behind it in the pattern, and one segment further in the name.
        let mut again: Option<(usize, usize)> = None;
        let (mut at, mut of_name, mut furthest) = (0, 0, 0);
        loop {
            furthest = furthest.max(at);
            match (self.segments.get(at), names.get(of_name)) {
                (None, None) => return None,
                (Some(Segment::Any), _) => {
                    at += 1;
                    again = Some((at, of_name));
                    continue;
                }
                (Some(glob), Some(segment)) if glob.matches(segment) => {
                    at += 1;
                    of_name += 1;
                    continue;
                }
                _ => {}
            }
            match again {
                // What follows a `**` has been tried at every place before this one.
                Some((after, from)) if from < names.len() => {
                    again = Some((after, from + 1));
                    (at, of_name) = (after, from + 1);
                }
                _ => {
                    let segment = self.segments.get(furthest);
                    return Some(
                        segment.map_or(Miss::MoreSegments, |segment| {
                            Miss::Segment(segment.to_string())
                        }),
                    );
                }
            }
        }
    }

    /// Whether it matches every name that `other` matches, so that a rule after it with `other`
    /// never comes to its turn. When this says no it may be so all the same.
    pub fn covers(&self, other: &Self) -> bool {
        covers(
            &self.segments,
            &other.segments,
            |mine| *mine == Segment::Any,
            |mine, theirs| match (mine, theirs) {
                (Segment::Glob(mine), Segment::Glob(theirs)) => {
                    let (mine, theirs) = (letters(mine), letters(theirs));
                    covers(&mine, &theirs, |it| *it == '*', |it, other| it == other && *it != '*')
                }
                _ => false,
            },
        )
    }
}

/// What of a pattern a name lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Miss {
    /// This segment has no place.
    Segment(String),
    /// The name has segments more.
    MoreSegments,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => write!(f, "`{segment}` finds no place in it"),
            Self::MoreSegments => f.write_str("the name has more segments"),
        }
    }
}

impl Segment {
    fn matches(&self, name: &str) -> bool {
        let Self::Glob(pieces) = self else { return true };
        let (first, last) = match &pieces[..] {
            [only] => return **only == *name,
            [first, .., last] => (first, last),
            [] => return false,
        };
        let inner = name.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
        let Some(mut rest) = inner else { return false };
        pieces[1..pieces.len() - 1].iter().all(|piece| match rest.find(&**piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("**"),
            Self::Glob(pieces) => f.write_str(&pieces.join("*")),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments: Vec<_> = self.segments.iter().map(ToString::to_string).collect();
        f.write_str(&segments.join(SEPARATOR))
    }
}

/// What is between the stars.
fn pieces(segment: &str) -> Vec<Box<str>> {
    let mut pieces: Vec<Box<str>> = segment.split('*').map(Into::into).collect();
    // Two stars beside each other in a segment say no more than one.
    let last = pieces.len() - 1;
    let mut at = 0;
    pieces.retain(|piece| {
        let keep = at == 0 || at == last || !piece.is_empty();
        at += 1;
        keep
    });
    pieces
}

fn letters(pieces: &[Box<str>]) -> Vec<char> {
    pieces.join("*").chars().collect()
}

/// The same pattern with `**` at both ends, where its end is not `**` or a star already, as people mean
/// it who forget how long names are.
fn opened(text: &str) -> String {
    let mut parts: Vec<_> = text.split(SEPARATOR).collect();
    while parts.first().is_some_and(|part| matches!(*part, "*" | "**")) {
        parts.remove(0);
    }
    while parts.last().is_some_and(|part| matches!(*part, "*" | "**")) {
        parts.pop();
    }
    let parts = ["**"].into_iter().chain(parts).chain(["**"]);
    parts.collect::<Vec<_>>().join(SEPARATOR)
}

/// Whether `mine` covers `theirs`, item by item: one of `mine` that `is_many` covers any number of
/// items, the others cover one. Takes as many steps as the product of both lengths.
fn covers<T>(
    mine: &[T],
    theirs: &[T],
    is_many: impl Fn(&T) -> bool,
    one: impl Fn(&T, &T) -> bool,
) -> bool {
    // Of each length of the beginning of `theirs`: whether what of `mine` was looked at covers it.
    let mut reached = vec![false; theirs.len() + 1];
    reached[0] = true;
    for item in mine {
        if is_many(item) {
            let first = reached.iter().position(|it| *it).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for length in (1..reached.len()).rev() {
                reached[length] = reached[length - 1] && one(item, &theirs[length - 1]);
            }
            reached[0] = false;
        }
    }
    reached[theirs.len()]
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;

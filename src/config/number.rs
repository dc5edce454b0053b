//! Whole numbers with a range, as fields read them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};

/// The longest time that can be configured: 366 days. A longer one is a slip of the unit.
const MILLIS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;

/// The highest count or size: what JSON clients still show exactly.
const COUNT_MAX: i64 = 1 << 53;

struct Whole<N> {
    what: &'static str,
    min: i64,
    max: i64,
    kind: PhantomData<N>,
}

impl<N: TryFrom<i64>> Whole<N> {
    fn new(what: &'static str, min: i64, max: i64) -> Self {
        Self { what, min, max, kind: PhantomData }
    }
}

impl<N: TryFrom<i64>> Visitor<'_> for Whole<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<N, E> {
        let refusal = || {
            E::custom(format!(
                "{value} is out of range: {} from {} to {}",
                self.what, self.min, self.max
            ))
        };
        if value < self.min || value > self.max {
            return Err(refusal());
        }
        N::try_from(value).map_err(|_| refusal())
    }
}

/// A time that must pass: 1 ms or more.
pub(super) fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    from.deserialize_i64(Whole::new("a whole number of milliseconds", 1, MILLIS_MAX))
}

/// The shortest time that anything is kept, and the longest: an hour and ten years. Beyond them there
/// is a slip of the unit.
const AGE_MIN_MS: i64 = 3_600_000;
const AGE_MAX_MS: i64 = 3_653 * 86_400_000;

/// How long something is kept.
pub(super) fn age<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let what = "a whole number of milliseconds, (an hour at least and ten years at most)";
    from.deserialize_i64(Whole::new(what, AGE_MIN_MS, AGE_MAX_MS))
}

/// The size of a database, where it need not be given. An empty one takes some hundred kilobytes.
pub(super) fn optional_database_bytes<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<u64>, D::Error> {
    from.deserialize_i64(Whole::new("a whole number of bytes", 1 << 21, COUNT_MAX)).map(Some)
}

/// Rows of one transaction. With many more nobody else would have his turn for too long.
pub(super) fn rows<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 1, 100_000))
}

/// A time that may be nothing.
pub(super) fn millis_or_zero<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    from.deserialize_i64(Whole::new("a whole number of milliseconds", 0, MILLIS_MAX))
}

/// A time that need not be given.
pub(super) fn optional_millis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    millis(from).map(Some)
}

/// A time that may be nothing and need not be given.
pub(super) fn optional_millis_or_zero<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    millis_or_zero(from).map(Some)
}

/// Minutes that must pass: 1 or more.
pub(super) fn minutes<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(Whole::new("a whole number of minutes", 1, MILLIS_MAX / 60_000))
}

/// As [`minutes`], where it need not be given.
pub(super) fn optional_minutes<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<u32>, D::Error> {
    minutes(from).map(Some)
}

/// How many: 1 or more.
pub(super) fn count<'de, D, N>(from: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    from.deserialize_i64(Whole::new("a whole number", 1, COUNT_MAX))
}

/// How many, where it need not be given: 1 or more.
pub(super) fn optional_count<'de, D, N>(from: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    count(from).map(Some)
}

/// How many, where it need not be given and none is a number too.
pub(super) fn optional_count_or_zero<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<u64>, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 0, COUNT_MAX)).map(Some)
}

/// A share beside other shares. Far apart, the small one would never come to its turn.
pub(super) fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 1, 1_000_000))
}

/// How many of a thing there are. Each unit is kept in memory while it is held.
pub(super) fn units<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 1, 100_000))
}

/// As [`units`], where it need not be given.
pub(super) fn optional_units<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    units(from).map(Some)
}

/// A part of a hundred.
pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(Whole::new("a whole number of percent", 0, 100))
}

/// How much a part of a sum counts; 0 for not at all.
pub(super) fn part<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 0, i64::from(u16::MAX)))
}

/// How often something may be tried again: 0 or more. The limit keeps a slip of the finger from
/// repeating a failing job for ever.
pub(super) fn tries<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(Whole::new("a whole number", 0, 1_000))
}

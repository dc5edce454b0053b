//! Names of policies, as fields read them. What there is stands in `dispatch::settings`.

use serde::de::{Deserialize, Deserializer, Error};

use crate::dispatch::{SCHEDULING_POLICIES, SELECTION_POLICIES};

/// What is next for a runner.
pub(super) fn scheduling<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    known(from, "scheduling", SCHEDULING_POLICIES)
}

/// As [`scheduling`], where it need not be given.
pub(super) fn optional_scheduling<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    scheduling(from).map(Some)
}

/// Who gets a job. `geographic`, as others call it, is `locality`.
pub(super) fn selection<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    known(from, "selection", SELECTION_POLICIES)
}

/// As [`selection`], where it need not be given.
pub(super) fn optional_selection<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    selection(from).map(Some)
}

fn known<'de, D: Deserializer<'de>>(
    from: D,
    kind: &str,
    known: &[&str],
) -> Result<String, D::Error> {
    let written = String::deserialize(from)?;
    let name = if written == "geographic" { "locality" } else { written.as_str() };
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
    let known = known.join(", ");
    Err(D::Error::custom(format!("there is no {kind} policy `{written}`: {known}")))
}

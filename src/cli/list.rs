//! What all verbs have in common that list things: which page, and how to go on.

use clap::Args;

use crate::api::wire::List;

/// Which part of a list.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ListArgs {
    /// The most rows to show
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Rows older than this one; the end of a page says which
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Only rows in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

impl ListArgs {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| limit.to_string());
        let pairs =
            [("limit", limit), ("before", self.before.clone()), ("state", self.state.clone())];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// How to see the next page, if there is one.
pub(super) fn how_to_go_on<T>(verb: &str, list: &List<T>) -> String {
    let next = list.next_before.as_ref();
    next.map_or_else(String::new, |id| format!("older: dispatchyard {verb} --before {id}"))
}

/// A value, or a dash where there is none.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The name that a value has on the wire.
pub(super) fn name_of(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// Things in one cell.
pub(super) fn joined(values: impl IntoIterator<Item = impl ToString>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "-".to_owned() } else { values.join(", ") }
}

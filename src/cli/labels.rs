//! Labels that jobs want and no runner has: what `check --runners` and `doctor` ask a server.

use super::CliError;
use super::client::Client;
use crate::api::wire::{MatchView, SubmitRequirements};
use crate::app::dry::Dry;

/// A label that no runner offers, and somebody who wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    pub(super) label: String,
    pub(super) wanted_by: String,
}

/// The labels of a configuration that none of the runners has that the server knows, whether they
/// are there now or not.
pub(super) async fn missing(dry: &Dry, client: &Client) -> Result<Vec<Missing>, CliError> {
    let mut found = Vec::new();
    for (label, wanted_by) in dry.wanted_labels() {
        let body = SubmitRequirements { labels: vec![label.clone()], ..Default::default() };
        let limit = [("limit", "1".to_owned())];
        let view: MatchView = client.post_query(&["match"], &limit, &body).await?.read()?;
        if view.now + view.later == 0 {
            found.push(Missing { label, wanted_by });
        }
    }
    Ok(found)
}

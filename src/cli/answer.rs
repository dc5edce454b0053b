//! `approve` and `deny`: what becomes of a held delivery.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::deliveries::one;
use crate::api::wire::AnswerRequest;
use crate::model::DeliveryId;

/// Which delivery, as `deliveries --state held` shows it.
#[derive(Clone, Debug, Args)]
pub struct AnswerArgs {
    /// The held delivery
    id: DeliveryId,
    /// The commit that you looked at; if the delivery is about another one, nothing is done
    #[arg(long, value_name = "COMMIT")]
    sha: Option<String>,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(
    args: AnswerArgs,
    verb: &'static str,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = AnswerRequest { sha: args.sha, reason: args.reason };
    let answer = client.post(&["deliveries", &args.id.to_string(), verb], &body).await?;
    console.show(&answer, |delivery, _| one(delivery))
}

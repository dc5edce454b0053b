//! Deliveries that a forge made and that never arrived: found in the forge's own list, and asked for again.
//!
//! ```text
//! forge's list of deliveries since T -> which of their ids have no key here -> "deliver it again" for each
//!                                                         -> POST /hooks/{source}, verified as any other
//! ```
//!
//! GitHub never repeats a delivery by itself, so what was sent while the server was down is gone unless somebody
//! asks. What the list shows of a delivery is parsed JSON, whose bytes are no longer those that were signed. So
//! nothing of it is taken over: the forge is asked to send it again, with its signature and its old id, and what
//! arrived meanwhile is a duplicate.
//!
//! What is deliberately absent: deliveries of forges that keep no list, or no way to ask for one again.

mod gap;
mod github;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::forge::AppKey;
use crate::forge::http::ForgeError;
use crate::model::DeliveryId;
use crate::store::{DeliveryHead, DeliveryPage, Store, StoreError};
use crate::webhook::Secret;

pub use gap::{Lost, Sent, lost};
pub use github::Forge;

/// How many pages of our own deliveries are looked through for the last one of a source.
const OWN_PAGES_MAX: usize = 10;
/// How many are on one.
const OWN_PAGE_ROWS: u32 = 500;
/// How far the forge's clock may be behind ours: its times are whole seconds besides.
const CLOCKS_APART_MS: i64 = 60_000;

/// By whose right a hook's deliveries are asked for.
#[derive(Clone, Debug)]
pub enum Right {
    /// That of a token: hooks of repositories and organisations.
    Token(Secret),
    /// That of an App itself: the App's own hook.
    App(Arc<AppKey>),
}

/// How a source's deliveries are asked for again.
#[derive(Clone, Debug)]
pub struct BackfillOptions {
    /// Where the forge's API is.
    pub api_url: reqwest::Url,
    /// The hook below it: `repos/OWNER/NAME/hooks/ID`, `orgs/NAME/hooks/ID`, `app/hook`.
    pub hook: String,
    /// By whose right.
    pub right: Right,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Whether it is done by itself when the server starts.
    pub on_start: bool,
    /// How far back it is asked at most.
    pub since_max: Duration,
}

/// Asks for one source.
pub struct Backfill {
    source: String,
    forge: Forge,
    options: BackfillOptions,
    store: Store,
    clock: Arc<dyn Clock>,
}

/// What was found, and done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// From when on was looked, wall milliseconds.
    pub since_ms: i64,
    /// How many deliveries the forge made since then, each counted once.
    pub sent: usize,
    /// Those that never arrived, oldest first, and what came of asking for them: `None` when nobody was asked.
    pub lost: Vec<(Lost, Option<Result<(), String>>)>,
    /// Why there may be more: the list ended before that time, or the forge had enough.
    pub cut: Option<String>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The forge's list cannot be read.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Ours cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Backfill {
    /// For the source of that name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ForgeError::Client`].
    pub fn new(
        source: impl Into<String>,
        options: BackfillOptions,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForgeError> {
        let forge = Forge::new(&options, Arc::clone(&clock))?;
        Ok(Self { source: source.into(), forge, options, store, clock })
    }

    /// Whether it is done by itself when the server starts.
    pub fn is_on_start(&self) -> bool {
        self.options.on_start
    }

    /// The earliest time that is asked for.
    pub fn since_min_ms(&self) -> i64 {
        let longest = i64::try_from(self.options.since_max.as_millis()).unwrap_or(i64::MAX);
        self.clock.now().wall_ms.saturating_sub(longest)
    }

    /// Finds what never arrived of what the forge sent since then, and asks for it again unless `dry_run`.
    ///
    /// # Errors
    /// [`BackfillError`]; nothing was asked for.
    pub async fn run(&self, since_ms: i64, dry_run: bool) -> Result<Found, BackfillError> {
        let since_ms = since_ms.max(self.since_min_ms());
        let (sent, cut) = self.forge.sent_since(since_ms).await?;
        // Ours may have come before the forge says that it sent it.
        let from_ms = since_ms.saturating_sub(CLOCKS_APART_MS);
        let known = self.store.external_ids_since(&self.source, from_ms).await?;
        let all = sent.iter().map(|one| &one.guid).collect::<BTreeSet<_>>().len();
        let missing = lost(sent, |guid| known.contains(guid));
        let mut asked = Vec::with_capacity(missing.len());
        let mut enough: Option<String> = None;
        for one in missing {
            let answer = match (dry_run, &enough) {
                (true, _) => None,
                (false, Some(why)) => Some(Err(why.clone())),
                (false, None) => Some(self.forge.ask_again(one.id).await.map_err(|error| {
                    if github::is_enough(&error) {
                        enough = Some(error.to_string());
                    }
                    error.to_string()
                })),
            };
            asked.push((one, answer));
        }
        Ok(Found { since_ms, sent: all, lost: asked, cut: cut.or(enough) })
    }

    /// When the last delivery of this source arrived before that time, wall milliseconds; `None` when there is none
    /// among the last few thousand.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_arrival_ms(&self, before_ms: i64) -> Result<Option<i64>, StoreError> {
        let mut page = DeliveryPage::first(OWN_PAGE_ROWS);
        for _ in 0..OWN_PAGES_MAX {
            let rows = self.store.deliveries(page).await?;
            let is_own = |it: &&DeliveryHead| {
                *it.source == *self.source
                    && it.replay_of.is_none()
                    && it.received_at_ms < before_ms
            };
            if let Some(own) = rows.iter().find(is_own) {
                return Ok(Some(own.received_at_ms));
            }
            match rows.last() {
                Some(last) if rows.len() == OWN_PAGE_ROWS as usize => {
                    page.before = Some::<DeliveryId>(last.id);
                }
                _ => break,
            }
        }
        Ok(None)
    }

    /// Asks for what was sent since the last delivery arrived before this process began, and says so in the log. What
    /// arrives since then does not end the gap.
    pub async fn after_a_gap(&self, began_ms: i64) {
        let now_ms = self.clock.now().wall_ms;
        let source = &*self.source;
        let last_ms = match self.last_arrival_ms(began_ms).await {
            Ok(Some(last_ms)) => last_ms,
            Ok(None) => {
                // A new server would ask for three days of work that nobody waits for.
                tracing::info!(
                    source,
                    "no delivery came before, so none is asked for: see `dispatchyard backfill`"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(source, %error, "it is not known since when deliveries are missing");
                return;
            }
        };
        let since_ms = last_ms.saturating_sub(CLOCKS_APART_MS).max(self.since_min_ms());
        let from = gap::shown(since_ms);
        let until = gap::shown(now_ms);
        match self.run(since_ms, false).await {
            Ok(found) => {
                let failed =
                    found.lost.iter().filter(|(_, asked)| !matches!(asked, Some(Ok(())))).count();
                tracing::info!(
                    source,
                    from,
                    until,
                    sent = found.sent,
                    lost = found.lost.len(),
                    failed,
                    cut = found.cut,
                    "asked the forge again for what never arrived in the gap"
                );
            }
            Err(error) => tracing::warn!(source, from, until, %error,
                "what was sent in the gap is not known: try `dispatchyard backfill`"),
        }
    }
}

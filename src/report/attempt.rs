//! One try of one entry, from what is known of it to what is committed of it.

use std::time::Duration;

use super::forge::Forge;
use super::judge::{self, Fault};
use super::news::{News, NewsError};
use super::refresh::{self, Known};
use super::{Connections, ReportParts, callback, checks, said, text};
use crate::clock::OsEntropy;
use crate::dispatch::Command;
use crate::driver::{CommandError, ServerState};
use crate::forge::http::ForgeError;
use crate::model::{
    OutboxId, OutboxPayload, OutboxProgress, OutboxRow, OutboxState, OutboxTarget, OutboxTold,
};

/// How long a driver that is away is waited for before the same is sent again.
const AGAIN: Duration = Duration::from_millis(50);
/// An App's token may have been taken back once; a key that is wrong stays so.
const UNAUTHORIZED_TRIES: u32 = 3;
/// What is noted of an entry that a later one of the same target tells.
const BY_ANOTHER: &str = "told by a later one";

/// What became of a try, for counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    Sent,
    Failed,
    Dead,
    Held,
    /// Nothing was tried.
    Nothing,
}

impl Came {
    /// The label of metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Held => "held",
            Self::Nothing => "nothing",
        }
    }
}

impl ReportParts {
    /// Tells the first entry of a line, or of one where only the newest matters, that.
    pub(super) async fn try_one(&self, first: OutboxRow, known: &Known) -> Came {
        let (row, older) = match self.chosen(first).await {
            Ok(Some(chosen)) => chosen,
            Ok(None) => return Came::Nothing,
            Err(error) => return self.cannot_look(&error).await,
        };
        let connections = (self.connections)();
        let now_ms = self.clock.now().wall_ms;
        let held = held_until_ms(&connections, &row.entry.target);
        if held > now_ms {
            let fault = Fault::Held(held, "it has had enough requests".to_owned());
            return self.conclude(&row, &row.progress, &older, Err(fault)).await;
        }
        let news = match self.news_for(&row).await {
            Ok(news) => news,
            Err(error) => return self.cannot_look(&error).await,
        };
        if news.is_none() && !said::is_of_session(&row) {
            let fault = Fault::Never("its workload is kept no longer".to_owned());
            return self.conclude(&row, &row.progress, &older, Err(fault)).await;
        }
        let Some(begun) = self.begin(&row).await else { return Came::Nothing };
        // What an older entry began may be what this one is to change.
        let unsure = row.progress.unsure || older.iter().any(|older| older.progress.unsure);
        let before = OutboxProgress { unsure, ..row.progress.clone() };
        let row = OutboxRow { progress: begun, ..row };
        let result = self.tell(&connections, &row, unsure, news.as_ref()).await;
        if let (Ok(_), Some(news)) = (&result, news.filter(|_| row.entry.target.coalesces())) {
            refresh::note(known, row.entry.line(), text::description(&news));
        }
        self.conclude(&row, &before, &older, result).await
    }

    /// The entry that is told, and those that it tells too.
    async fn chosen(
        &self,
        first: OutboxRow,
    ) -> Result<Option<(OutboxRow, Vec<OutboxRow>)>, NewsError> {
        if !first.entry.target.coalesces() {
            return Ok(Some((first, Vec::new())));
        }
        let mut line = self.store.outbox_of(&first.entry.line()).await?;
        match line.pop() {
            Some(newest) => Ok(Some((newest, line))),
            // What an older version wrote is in another line, and tells itself alone.
            None => Ok(self.still_waits(first.id).await?.map(|row| (row, Vec::new()))),
        }
    }

    async fn still_waits(&self, id: OutboxId) -> Result<Option<OutboxRow>, NewsError> {
        let row = self.store.outbox_entry(id).await?;
        Ok(row.filter(|row| row.progress.state == OutboxState::Waiting))
    }

    /// What is known of what an entry is about; what is said in a session says all of itself.
    async fn news_for(&self, row: &OutboxRow) -> Result<Option<News>, NewsError> {
        match row.entry.workload_id.filter(|_| !said::is_of_session(row)) {
            Some(id) => self.news(id).await,
            None => Ok(None),
        }
    }

    /// What cannot be looked up now is looked up later; nothing is lost by it.
    async fn cannot_look(&self, error: &NewsError) -> Came {
        tracing::debug!(%error, "what is to be told cannot be read now");
        tokio::time::sleep(AGAIN).await;
        Came::Nothing
    }

    /// Has it committed that a try begins, before anybody can have heard of it. `None`: this instance does not
    /// lead, or somebody else was there first.
    async fn begin(&self, row: &OutboxRow) -> Option<OutboxProgress> {
        let begun = OutboxProgress {
            attempts: row.progress.attempts.saturating_add(1),
            unsure: true,
            // Whoever leads next does not begin it beside this try.
            next_at_ms: self.clock.now().wall_ms.saturating_add(self.options.timeout_ms),
            ..row.progress.clone()
        };
        self.commit(row, begun.clone()).await.then_some(begun)
    }

    /// Has what became of a try committed; `before` it the entry was so far.
    async fn conclude(
        &self,
        row: &OutboxRow,
        before: &OutboxProgress,
        older: &[OutboxRow],
        result: Result<Option<Box<str>>, Fault>,
    ) -> Came {
        let now_ms = self.clock.now().wall_ms;
        let id = row.id.0;
        let target = row.entry.target.kind();
        let workload_id = row.entry.workload_id.map(|id| id.0);
        let session_id = row.entry.session_id.map(|id| id.0);
        let (progress, came) = match &result {
            Ok(reference) => {
                let progress = judge::sent(&row.progress, now_ms, reference.clone(), None);
                (progress, Came::Sent)
            }
            Err(fault) => {
                let times = (row.since_ms, now_ms);
                // A try that was not taken does not count.
                let after = if matches!(fault, Fault::Held(..)) { before } else { &row.progress };
                let progress = judge::failed(fault, after, times, &self.options, &mut OsEntropy);
                let came = match (progress.state, fault) {
                    (OutboxState::Dead, _) => Came::Dead,
                    (_, Fault::Held(..)) => Came::Held,
                    _ => Came::Failed,
                };
                (progress, came)
            }
        };
        let note = progress.note.clone();
        match came {
            Came::Dead => {
                tracing::warn!(
                    id,
                    target,
                    workload_id,
                    session_id,
                    note,
                    "gave up to tell others something"
                );
            }
            Came::Failed => {
                tracing::info!(
                    id,
                    target,
                    workload_id,
                    session_id,
                    note,
                    "others could not be told"
                );
            }
            _ => tracing::debug!(id, target, workload_id, session_id, note, "told others"),
        }
        for other in older {
            let note = Some(BY_ANOTHER.into());
            let progress = judge::sent(&other.progress, now_ms, None, note);
            self.commit(other, progress).await;
        }
        self.commit(row, progress).await;
        came
    }

    /// Has progress committed, for as long as this instance leads; whether it was.
    async fn commit(&self, row: &OutboxRow, progress: OutboxProgress) -> bool {
        let told = OutboxTold { id: row.id, attempts: row.progress.attempts, progress };
        loop {
            let command = Command::OutboxTold(Box::new(told.clone()));
            match self.handle.send(command).await {
                Ok(_) => return true,
                Err(CommandError::Unavailable | CommandError::Overloaded) => {}
                Err(CommandError::Stopping | CommandError::Refused(_)) => return false,
            }
            let views = self.handle.views();
            if matches!(views.state(), ServerState::Stopping | ServerState::Standby) {
                return false;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Where people find a workload.
    pub(super) fn link(&self, news: &News) -> Option<String> {
        let base = self.options.public_url.as_deref()?;
        Some(format!("{base}/api/v1/workloads/{}", news.workload.id))
    }

    /// Tells one entry; how the other side calls what was made there. `unsure`: an earlier try may have been heard.
    pub(super) async fn tell(
        &self,
        connections: &Connections,
        row: &OutboxRow,
        unsure: bool,
        news: Option<&News>,
    ) -> Result<Option<Box<str>>, Fault> {
        if let OutboxTarget::Chat { source, place } = &row.entry.target {
            let none = || Fault::NotYet("its source has no `chat` any more".to_owned());
            let chat = connections.chats.get(&**source).ok_or_else(none)?;
            return self.tell_chat(chat, (source, place), row, unsure).await.map(Some);
        }
        let installation = &*self.options.installation;
        let link = news.and_then(|news| self.link(news));
        let link = link.as_deref();
        if let OutboxTarget::Callback { url } = &row.entry.target {
            let none = || Fault::NotYet("no `callback_secret` is configured any more".to_owned());
            let callbacks = connections.callbacks.as_ref().ok_or_else(none)?;
            let body = match news {
                Some(news) => callback::body(row, news, link),
                None => said::body(row, None),
            };
            callbacks.call(url, (installation, row.id), &body, &*self.clock).await?;
            return Ok(None);
        }
        let forge = forge(connections, &row.entry.target)
            .ok_or_else(|| Fault::NotYet("its source has no `report` any more".to_owned()))?;
        let now_ms = || self.clock.now().wall_ms;
        let fault = |error: ForgeError| match &error {
            // An App's token, or what is remembered of its installation, may be of before.
            ForgeError::Refused { status: 401 | 404, .. }
                if forge.renews() && row.progress.attempts < UNAUTHORIZED_TRIES =>
            {
                Fault::NotYet(error.to_string())
            }
            error => judge::fault(error, now_ms()),
        };
        let known = || news.ok_or_else(|| Fault::Never("it says nothing of a workload".to_owned()));
        match &row.entry.target {
            OutboxTarget::CommitStatus { repository, sha, context, .. } => {
                let news = known()?;
                let description = text::description(news);
                let which = (&**repository, &**sha, &**context);
                let state = news.workload.state;
                forge.set_status(which, state, &description, link).await.map_err(fault)?;
                Ok(None)
            }
            OutboxTarget::CheckRun { repository, sha, context, .. } => {
                let news = match &row.entry.payload {
                    OutboxPayload::Phase { run, state, .. } => known()?.of_run(*run, *state),
                    _ => return Err(Fault::Never("a check run has no text".to_owned())),
                };
                let known = self.store.outbox_references(&row.entry.line()).await;
                let known = known.map_err(|error| Fault::NotYet(error.to_string()))?;
                let external_id = checks::external_id(installation, &news);
                let which =
                    checks::Which { repository, sha, name: context, external_id: &external_id };
                let made = forge.set_check(which, &known, unsure, &news, link).await;
                let made = made.map_err(|error| still_unsure(unsure, fault(error)))?;
                Ok(Some(made))
            }
            OutboxTarget::Comments { repository, number, pull_request, .. } => {
                let mark = text::mark(installation, row.id);
                let place = (&**repository, *number, *pull_request);
                if unsure {
                    let since_ms = row.entry.created_at_ms;
                    let found = forge.find_comment(place, &mark, since_ms).await;
                    let found = found.map_err(|error| still_unsure(true, fault(error)))?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                let told = match &row.entry.payload {
                    OutboxPayload::Text { text } => format!("{text}\n\n{mark}"),
                    OutboxPayload::Phase { phase, state, .. } => {
                        format!("{}\n\n{mark}", text::comment(known()?, (*phase, *state), link))
                    }
                    // Above it nothing that an agent left open can swallow the mark.
                    OutboxPayload::Session { .. } => {
                        format!("{mark}\n\n{}", said::in_comment(&said::words(row)))
                    }
                };
                let made = forge.comment(place, &told).await;
                Ok(Some(made.map_err(fault)?))
            }
            OutboxTarget::Callback { .. } | OutboxTarget::Chat { .. } => Ok(None),
        }
    }
}

/// Of a try that did nothing: what an earlier one did is as unknown as before.
pub(super) fn still_unsure(unsure: bool, fault: Fault) -> Fault {
    match fault {
        Fault::NotYet(text) if unsure => Fault::Unknown(text),
        other => other,
    }
}

/// Until when (wall) whoever is told has had enough.
fn held_until_ms(connections: &Connections, target: &OutboxTarget) -> i64 {
    let chat = match target {
        OutboxTarget::Chat { source, .. } => connections.chats.get(&**source),
        _ => return forge(connections, target).map_or(0, Forge::held_until_ms),
    };
    chat.map_or(0, |chat| chat.held_until_ms())
}

/// The forge by whose right a target is told.
fn forge<'a>(connections: &'a Connections, target: &OutboxTarget) -> Option<&'a Forge> {
    target.source().and_then(|source| connections.forges.get(source)).map(|forge| &**forge)
}

//! Sessions of agents, and what was said in them.

use super::{ROWS_MAX, SessionPage};
use crate::model::{Session, SessionId, SessionMessage};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::rows;
use crate::store::statement::{self as sql, Sql};

/// Which messages of a session: at most `limit`, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessagePage {
    /// Of which session.
    pub session_id: SessionId,
    /// Those after this number.
    pub after: i64,
    /// Up to this number.
    pub up_to: i64,
    /// At most 1,000.
    pub limit: u32,
}

/// A session that ended long ago, and how much is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldSession {
    /// Which.
    pub id: SessionId,
    /// When it ended, wall milliseconds.
    pub ended_at_ms: i64,
    /// The number of its first message that is still there; one above the last when none is.
    pub first: i64,
    /// The number of its last message.
    pub last: i64,
}

impl Store {
    /// Sessions that ended up to `until_ms`, oldest first, after the time and number of `after`.
    ///
    /// # Errors
    /// As every read.
    pub async fn old_sessions(
        &self,
        after: (i64, SessionId),
        until_ms: i64,
        limit: u32,
    ) -> Result<Vec<OldSession>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::SESSION_PRUNABLE, |to| {
            to.int(after.0).int(after.1.0).int(until_ms).int(i64::from(limit))
        });
        let read = |row| {
            let mut columns = Columns::new("session", row);
            Ok(OldSession {
                id: SessionId(columns.int("id")?),
                ended_at_ms: columns.int("ended_at_ms")?,
                first: columns.int("first_sequence")?,
                last: columns.int("last_sequence")?,
            })
        };
        rows.await?.iter().map(read).collect()
    }

    /// A page of sessions, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn sessions(&self, page: SessionPage) -> Result<Vec<Session>, StoreError> {
        let before = page.before.map_or(i64::MAX, |id| id.0);
        let (limit, tenant) = (page.rows(), page.tenant.map(|id| id.0));
        let state = page.state.map(|state| state as i64);
        let mut reader = self.reader().await?;
        let rows =
            reader.all(sql::SESSION_LIST, |to| to.int(before).int(limit).int(tenant).int(state));
        rows.await?.iter().map(rows::session::read).collect()
    }

    /// One session, live or ended.
    ///
    /// # Errors
    /// As every read.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::SESSION_SELECT, |to| to.int(id.0)).await?;
        row.map(|row| rows::session::read(&row)).transpose()
    }

    /// A page of what was said in a session.
    ///
    /// # Errors
    /// As every read.
    pub async fn messages(&self, page: MessagePage) -> Result<Vec<SessionMessage>, StoreError> {
        self.page_of_messages(sql::SESSION_MESSAGE_LIST, page).await
    }

    /// The same of what its agent is to be told.
    ///
    /// # Errors
    /// As every read.
    pub async fn messages_to_agent(
        &self,
        page: MessagePage,
    ) -> Result<Vec<SessionMessage>, StoreError> {
        self.page_of_messages(sql::SESSION_MESSAGE_INBOUND, page).await
    }

    async fn page_of_messages(
        &self,
        statement: Sql,
        page: MessagePage,
    ) -> Result<Vec<SessionMessage>, StoreError> {
        let MessagePage { session_id, after, up_to, limit } = page;
        let limit = i64::from(limit.min(ROWS_MAX));
        let mut reader = self.reader().await?;
        let rows = reader
            .all(statement, |to| to.int(session_id.0).int(after).int(up_to).int(limit))
            .await?;
        rows.iter().map(rows::session::read_message).collect()
    }
}

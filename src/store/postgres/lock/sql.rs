//! The statements about the lock, and about what is told beside it.

/// The sessions that hold an advisory lock of this number in this schema: a lock's key is a number and
/// one for the schema, so that databases which share a server, and schemas which share a database, do
/// not meet.
macro_rules! holding {
    ($what:literal, $number:literal, $and:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ",
            $number,
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND l.objid::int8 = (hashtext(current_schema())::int8 & 4294967295) ",
            $and
        )
    };
}

pub(super) const TRY: &str = "SELECT pg_try_advisory_lock(1148806511, hashtext(current_schema()))";
pub(super) const UNLOCK: &str = "SELECT pg_advisory_unlock(1148806511, hashtext(current_schema()))";
/// Who has it, as far as the server tells.
pub(super) const HOLDER: &str = holding!(
    "'backend ' || l.pid || coalesce(' from ' || host(a.client_addr), '')",
    1148806511,
    ""
);
pub(super) const HOLDER_PID: &str = holding!("l.pid::int8", 1148806511, "");
/// Ends the session that has it, if it still is that one.
pub(super) const END_HOLDER: &str =
    holding!("pg_terminate_backend(l.pid)", 1148806511, "AND l.pid = $1");
/// What a connection that writes batches says of itself, so that it can be found when its process does
/// not answer any more. The lock is shared: it keeps nobody away.
pub(in crate::store) const MARK_WRITER: &str =
    "SELECT pg_advisory_lock_shared(1148806512, hashtext(current_schema()))";
pub(super) const END_WRITERS: &str = holding!("pg_terminate_backend(l.pid)", 1148806512, "");

/// This moment by the database's clock, in wall milliseconds.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

pub(super) const SIT_DOWN: &str = concat!(
    "UPDATE leadership SET instance_id = $1, name = $2, advertised_url = $3,
     backend_pid = pg_backend_pid(), since_ms = ",
    now_ms!(),
    ", renewed_at_ms = ",
    now_ms!(),
    " WHERE id = 1 RETURNING since_ms"
);
/// Of one that shares with nobody and need not be well: its term never ends.
pub(super) const SIT_ALONE: &str = concat!(
    "UPDATE leadership SET instance_id = NULL, name = NULL, advertised_url = NULL,
     backend_pid = pg_backend_pid(), renewed_at_ms = 9000000000000000, since_ms = ",
    now_ms!(),
    " WHERE id = 1"
);
pub(super) const RENEW: &str = concat!(
    "UPDATE leadership SET renewed_at_ms = ",
    now_ms!(),
    " WHERE id = 1 AND instance_id = $1 AND backend_pid = pg_backend_pid()"
);
/// What is sent when the seat is free, or somebody has taken it; the message says in which schema.
pub(in crate::store::postgres) const SEAT_CHANNEL: &str = "dispatchyard_seat";
pub(super) const TELL: &str = "SELECT pg_notify('dispatchyard_seat', current_schema())";
pub(super) const WHO: &str = concat!(
    "SELECT instance_id, name, advertised_url, backend_pid, since_ms, ",
    now_ms!(),
    " - renewed_at_ms AS age_ms FROM leadership WHERE id = 1"
);
pub(super) const STAND_UP: &str =
    "UPDATE leadership SET renewed_at_ms = 0 WHERE id = 1 AND instance_id = $1
     AND backend_pid = pg_backend_pid()";
/// Says that an instance is there, forgets those of long ago and what was at the same place before, and
/// names those that are otherwise: one statement, because a round trip may be long. Two that are told to be
/// at the same place forget each other, and do not wait for each other.
pub(super) const STAMP: &str = concat!(
    "WITH told AS (INSERT INTO instance AS it
     (id, name, advertised_url, version, config_hash, started_at_ms, seen_at_ms)
     VALUES ($1, $2, $3, $4, $5, ",
    now_ms!(),
    ", ",
    now_ms!(),
    ") ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms),
     forgotten AS (DELETE FROM instance WHERE id IN (SELECT id FROM instance
     WHERE id <> $1 AND (advertised_url = $3 OR seen_at_ms < ",
    now_ms!(),
    " - $6) FOR UPDATE SKIP LOCKED) RETURNING id)
     SELECT name FROM instance WHERE id <> $1 AND (config_hash <> $5 OR version <> $4)
     AND seen_at_ms > ",
    now_ms!(),
    " - $7 AND id NOT IN (SELECT id FROM forgotten) ORDER BY name LIMIT 100"
);
pub(super) const SIGN_OFF: &str = "DELETE FROM instance WHERE id = $1";

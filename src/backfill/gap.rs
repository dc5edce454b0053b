//! Which of a forge's deliveries never arrived. Pure.

use std::collections::BTreeMap;

/// One try of a forge to deliver, as its list shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The number of the try.
    pub id: u64,
    /// The delivery's id, the same for each try.
    pub guid: String,
    /// When it was sent, wall milliseconds.
    pub at_ms: i64,
    /// The event's kind.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// What the forge thinks became of it: `OK`, `Invalid HTTP Response: 503`, ...
    pub status: String,
}

/// A delivery that never arrived: its last try.
pub type Lost = Sent;

/// The deliveries that nobody here knows, oldest first, each by its last try. Those that are known are left out
/// whatever the forge thinks of them: an answer can be lost.
pub fn lost(sent: Vec<Sent>, is_known: impl Fn(&str) -> bool) -> Vec<Lost> {
    let mut last: BTreeMap<String, Sent> = BTreeMap::new();
    for one in sent {
        if is_known(&one.guid) {
            continue;
        }
        let newest = last.entry(one.guid.clone()).or_insert_with(|| one.clone());
        if (one.at_ms, one.id) > (newest.at_ms, newest.id) {
            *newest = one;
        }
    }
    let mut lost: Vec<_> = last.into_values().collect();
    lost.sort_by_key(|one| (one.at_ms, one.id));
    lost
}

/// A wall time for people.
pub(super) fn shown(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| wall_ms.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: u64, guid: &str, at_ms: i64) -> Sent {
        let (event, status) = ("push".to_owned(), "OK".to_owned());
        Sent { id, guid: guid.to_owned(), at_ms, event, action: None, status }
    }

    #[test]
    fn what_nobody_knows_is_lost_once_by_its_last_try_and_oldest_first() {
        let all = vec![
            sent(5, "c", 50),
            sent(4, "a", 40),
            sent(3, "b", 30),
            sent(2, "a", 20),
            sent(1, "known", 10),
        ];
        let lost = lost(all, |guid| guid == "known");
        let ids: Vec<_> = lost.iter().map(|one| (one.id, one.guid.as_str())).collect();
        assert_eq!(ids, [(3, "b"), (4, "a"), (5, "c")]);
    }

    #[test]
    fn nothing_sent_is_nothing_lost() {
        assert_eq!(lost(Vec::new(), |_| false), []);
    }
}

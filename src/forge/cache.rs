//! What was read of commits, bounded by number and by bytes; what was not asked for the longest goes first.

use std::collections::HashMap;
use std::sync::Arc;

use super::FilesAt;

/// A repository and a commit of it.
pub(super) type Key = (String, String);

/// The most commits that are kept.
const COMMITS_MAX: usize = 500;
/// The most bytes of all their files.
const BYTES_MAX: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Cache {
    kept: HashMap<Key, Kept>,
    bytes: usize,
    /// Grows with each use: the order of them.
    uses: u64,
}

struct Kept {
    files: Arc<FilesAt>,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<FilesAt>> {
        self.uses += 1;
        let kept = self.kept.get_mut(key)?;
        kept.used = self.uses;
        Some(Arc::clone(&kept.files))
    }

    pub(super) fn put(&mut self, key: Key, files: Arc<FilesAt>) {
        let text = |it: &Result<String, String>| it.as_ref().unwrap_or_else(|text| text).len();
        let bytes = files.files.iter().map(|(name, it)| name.len() + text(it)).sum();
        if bytes > BYTES_MAX {
            return;
        }
        self.uses += 1;
        let kept = Kept { files, bytes, used: self.uses };
        let before = self.kept.insert(key, kept).map_or(0, |before| before.bytes);
        self.bytes = self.bytes + bytes - before;
        while self.kept.len() > COMMITS_MAX || self.bytes > BYTES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.bytes -= self.kept.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        ("acme/app".to_owned(), number.to_string())
    }

    fn files(bytes: usize) -> Arc<FilesAt> {
        let files = vec![(String::new(), Ok("x".repeat(bytes)))];
        Arc::new(FilesAt { commit: String::new(), files })
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_when_there_are_too_many() {
        let mut cache = Cache::default();
        (0..COMMITS_MAX).for_each(|number| cache.put(key(number), files(1)));
        assert!(cache.get(&key(0)).is_some());
        cache.put(key(COMMITS_MAX), files(1));
        assert!(cache.get(&key(0)).is_some() && cache.get(&key(1)).is_none());
        assert_eq!((cache.kept.len(), cache.bytes), (COMMITS_MAX, COMMITS_MAX));
    }

    #[test]
    fn bytes_are_bounded_also_of_one_that_is_put_twice() {
        let mut cache = Cache::default();
        for _ in 0..3 {
            cache.put(key(0), files(BYTES_MAX / 2));
        }
        assert_eq!(cache.bytes, BYTES_MAX / 2);
        cache.put(key(1), files(BYTES_MAX / 2 + 1));
        assert!(cache.get(&key(0)).is_none() && cache.get(&key(1)).is_some());
        cache.put(key(2), files(BYTES_MAX + 1));
        assert!(cache.get(&key(2)).is_none() && cache.get(&key(1)).is_some());
    }
}

//! Replaces secrets in a stream of bytes, however it is cut into pieces. Pure.
//!
//! Every occurrence of every form is found, also where occurrences overlap; those that overlap are
//! one `***`, so no rest of a secret stays. Held back are exactly the last bytes that are a form, or
//! could be the beginning of one, and those only until the next bytes or the end: text without secrets passes
//! as it is, and at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use rustc_hash::FxHashMap;

/// What stands in the place of a secret.
pub(super) const MASK: &[u8] = b"***";

/// What to look for, compiled.
pub(super) struct Matcher {
    nfa: NFA,
    start: StateID,
    /// Of each state how many bytes of a form it stands for, which is what must be held back.
    depths: FxHashMap<StateID, usize>,
}

impl Matcher {
    pub(super) fn new(forms: &BTreeSet<Vec<u8>>) -> Self {
        // Not a DFA: of a private key's forms it would be tens of megabytes.
        let nfa = NFA::new(forms).expect("secrets are bounded far below 2^31 bytes");
        let start = nfa.start_state(Anchored::No).expect("it searches from everywhere");
        let mut depths = FxHashMap::default();
        for form in forms {
            let mut state = start;
            for (at, byte) in form.iter().enumerate() {
                state = nfa.next_state(Anchored::No, state, *byte);
                depths.insert(state, at + 1);
            }
        }
        Self { nfa, start, depths }
    }

    /// The length of the longest form that ends in this state.
    fn ended(&self, state: StateID) -> Option<usize> {
        if !self.nfa.is_special(state) || !self.nfa.is_match(state) {
            return None;
        }
        let ends = (0..self.nfa.match_len(state)).map(|at| self.nfa.match_pattern(state, at));
        ends.map(|form| self.nfa.pattern_len(form)).max()
    }
}

/// One stream on its way through a [`Matcher`].
pub(super) struct MaskStream {
    matcher: Arc<Matcher>,
    state: StateID,
    /// What may be the beginning of a form: its first byte is at offset 0 of the ranges below.
    held: Vec<u8>,
    /// How much of `held` belongs to a secret whose `***` has been written.
    covered: usize,
    /// Secrets in `held` that begin after that: in order, none overlaps another.
    found: Vec<Range<usize>>,
}

impl MaskStream {
    pub(super) fn new(matcher: Arc<Matcher>) -> Self {
        let state = matcher.start;
        Self { matcher, state, held: Vec::new(), covered: 0, found: Vec::new() }
    }

    /// Looks for other things from now on, also in what is held back.
    pub(super) fn look_for(&mut self, matcher: Arc<Matcher>) {
        let held = std::mem::take(&mut self.held);
        self.found.clear();
        self.state = matcher.start;
        self.matcher = matcher;
        self.read(&held);
    }

    /// Takes bytes in; appends to `out` what can be told.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.read(bytes);
        let depth = self.matcher.depths.get(&self.state).copied().unwrap_or(0);
        self.release(self.held.len() - depth, out);
    }

    /// Tells what is held back: nothing more belongs to it.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(self.held.len(), out);
        (self.state, self.covered) = (self.matcher.start, 0);
    }

    fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.held.push(byte);
            self.state = self.matcher.nfa.next_state(Anchored::No, self.state, byte);
            if let Some(len) = self.matcher.ended(self.state) {
                self.note(self.held.len() - len);
            }
        }
    }

    /// A secret from `start` to the end of what was read.
    fn note(&mut self, mut start: usize) {
        let end = self.held.len();
        if start < self.covered {
            self.covered = self.covered.max(end);
            self.found.clear();
            return;
        }
        while let Some(last) = self.found.pop_if(|last| last.end > start) {
            start = start.min(last.start);
        }
        self.found.push(start..end);
    }

    /// Tells the first `safe` bytes: no secret that ends later begins in them.
    fn release(&mut self, safe: usize, out: &mut Vec<u8>) {
        let mut told = self.covered;
        let sure = self.found.iter().take_while(|it| it.start < safe).count();
        for secret in self.found.drain(..sure) {
            out.extend_from_slice(&self.held[told..secret.start]);
            out.extend_from_slice(MASK);
            told = secret.end;
        }
        if told < safe {
            out.extend_from_slice(&self.held[told..safe]);
        }
        self.covered = told.saturating_sub(safe);
        self.held.drain(..safe);
        for secret in &mut self.found {
            *secret = secret.start - safe..secret.end - safe;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::secret_forms::forms;
    use super::*;

    fn matcher(secrets: &[&str]) -> Arc<Matcher> {
        let all = secrets.iter().flat_map(|secret| forms(secret.as_bytes())).collect();
        Arc::new(Matcher::new(&all))
    }

    fn masked(matcher: &Arc<Matcher>, pieces: &[&[u8]]) -> String {
        let (mut stream, mut out) = (MaskStream::new(Arc::clone(matcher)), Vec::new());
        for piece in pieces {
            stream.push(piece, &mut out);
        }
        stream.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn overlapping_nested_and_adjacent_secrets_leave_no_rest() {
        let matcher = matcher(&["abcdef", "cdefgh", "defg", "abcdefghij"]);
        assert_eq!(masked(&matcher, &[b"<abcdefgh>"]), "<***>");
        assert_eq!(masked(&matcher, &[b"<abcdefghij>"]), "<***>");
        assert_eq!(masked(&matcher, &[b"<abcdefghiX>"]), "<***iX>");
        assert_eq!(masked(&matcher, &[b"<abcdefcdefgh>"]), "<******>");
        assert_eq!(masked(&matcher, &[b"<xdefgx>"]), "<x***x>");
    }

    #[test]
    fn only_what_may_be_the_beginning_of_a_secret_is_held_back() {
        let mut stream = MaskStream::new(matcher(&["sesame-open"]));
        let mut out = Vec::new();
        stream.push(b"password: se", &mut out);
        assert_eq!(out, b"password: ");
        stream.push(b"ses", &mut out);
        assert_eq!(out, b"password: se");
        stream.push(b"ame-open", &mut out);
        assert_eq!(out, b"password: se");
        stream.push(b"? ses", &mut out);
        assert_eq!(out, b"password: se***? ");
        stream.finish(&mut out);
        assert_eq!(out, b"password: se***? ses");
    }

    #[test]
    fn what_is_held_back_is_looked_at_again_when_there_is_more_to_look_for() {
        let mut stream = MaskStream::new(matcher(&["abcdefgh"]));
        let mut out = Vec::new();
        stream.push(b"1abcdef", &mut out);
        stream.look_for(matcher(&["abcdefgh", "bcde", "efzz"]));
        stream.push(b"zz2abcdefgh", &mut out);
        stream.finish(&mut out);
        assert_eq!(out, b"1a***2***");
    }

    /// Letters that make secrets overlap each other and themselves.
    fn secret() -> impl Strategy<Value = String> {
        "[ab]{4,9}|[a-c\"'/ \\\\\n\u{e9}$%]{4,12}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_form_of_a_secret_is_told_however_the_text_is_cut(
            secrets in prop::collection::vec(secret(), 1..4),
            parts in prop::collection::vec(
                prop_oneof![
                    "[abc =\n]{0,12}".prop_map(Ok),
                    (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(Err),
                ],
                0..8,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let all: BTreeSet<Vec<u8>> =
                secrets.iter().flat_map(|secret| forms(secret.as_bytes())).collect();
            let matcher = Arc::new(Matcher::new(&all));
            let mut text = Vec::new();
            for part in &parts {
                match part {
                    Ok(plain) => text.extend_from_slice(plain.as_bytes()),
                    Err((secret, form)) => {
                        let forms: Vec<_> = forms(secret.get(&secrets).as_bytes())
                            .into_iter()
                            .collect();
                        if !forms.is_empty() {
                            let form: &Vec<u8> = form.get(&forms);
                            text.extend_from_slice(form);
                        }
                    }
                }
            }
            let whole = masked(&matcher, &[&text]);
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|at| &text[at[0]..at[1]]).collect();
            prop_assert_eq!(&masked(&matcher, &pieces), &whole);
            let bytewise: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(&masked(&matcher, &bytewise), &whole);

            let contains = |text: &[u8]| all.iter().find(|form| {
                text.windows(form.len()).any(|window| window == form.as_slice())
            }).cloned();
            prop_assert_eq!(contains(whole.as_bytes()), None);
            if contains(&text).is_none() {
                prop_assert_eq!(whole.as_bytes(), &text[..]);
            }
        }

        #[test]
        fn never_more_is_held_back_than_a_beginning_of_a_form(
            secrets in prop::collection::vec(secret(), 1..4),
            text in "[abc\"'/ ]{0,40}",
        ) {
            let all: BTreeSet<Vec<u8>> =
                secrets.iter().flat_map(|secret| forms(secret.as_bytes())).collect();
            let mut stream = MaskStream::new(Arc::new(Matcher::new(&all)));
            for byte in text.as_bytes() {
                stream.push(&[*byte], &mut Vec::new());
                let held = &stream.held;
                prop_assert!(held.is_empty()
                    || all.iter().any(|it| it.len() > held.len() && it.starts_with(held))
                    || all.contains(held));
            }
        }
    }
}

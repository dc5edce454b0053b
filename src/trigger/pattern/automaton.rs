//! Matching: all alternatives side by side.
//!
//! Each place of a pattern is a bit, and one step over a character of the name moves all bits at
//! once. So the cost is in proportion to the length of the name and, a word of 128 bits at a time,
//! to that of the pattern: no pattern makes it explode.

use super::PATTERN_BYTES_MAX;

/// Bits of a word.
const BITS: usize = u128::BITS as usize;
/// Words of the longest pattern: one bit for each of its bytes at most, and one for the end.
const WORDS_MAX: usize = PATTERN_BYTES_MAX / BITS + 1;

/// One place of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// Exactly this character.
    Literal(char),
    /// One of these.
    One(Vec<char>),
    /// One of these, or nothing.
    Maybe(Vec<char>),
    /// One of these, once or more often, and each time another one if it likes.
    Repeated(Vec<char>),
    /// Any characters but `/`, also none.
    Star,
    /// Any characters, also none.
    AnyStar,
    /// Nothing, or any characters up to a `/`.
    Folders,
}

impl Token {
    /// The character, where it can be no other.
    pub(super) fn letter(&self) -> Option<char> {
        if let Self::Literal(c) = self { Some(*c) } else { None }
    }

    /// The characters that it may be.
    pub(super) fn chars(&self) -> Vec<char> {
        match self {
            Self::Literal(c) => vec![*c],
            Self::One(chars) | Self::Maybe(chars) | Self::Repeated(chars) => chars.clone(),
            Self::Star | Self::AnyStar | Self::Folders => Vec::new(),
        }
    }
}

/// A set of places: bit n of all words together speaks of token n, and the bit after the last one
/// of the end.
type Places = Box<[u128]>;

/// A pattern to be matched against names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Automaton {
    /// Which tokens each character can be, in the order of the characters.
    chars: Vec<(char, Places)>,
    /// Tokens that may come again at once.
    repeated: Places,
    star: Places,
    any_star: Places,
    folders: Places,
    /// Tokens that may be nothing.
    skipped: Places,
    /// How many tokens there are, which is the number of the end's bit.
    tokens: usize,
}

impl Automaton {
    /// Of at most [`PATTERN_BYTES_MAX`] tokens.
    pub(super) fn new(tokens: &[Token]) -> Self {
        let words = tokens.len() / BITS + 1;
        debug_assert!(words <= WORDS_MAX, "{} tokens", tokens.len());
        let of = |wanted: &dyn Fn(&Token) -> bool| {
            let mut places: Places = vec![0; words].into();
            let found = tokens.iter().enumerate().filter(|(_, token)| wanted(token));
            found.for_each(|(at, _)| places[at / BITS] |= 1 << (at % BITS));
            places
        };
        let mut all: Vec<_> = tokens.iter().flat_map(Token::chars).collect();
        all.sort_unstable();
        all.dedup();
        let chars = all.into_iter().map(|c| (c, of(&|token| token.chars().contains(&c))));
        Self {
            chars: chars.collect(),
            repeated: of(&|token| matches!(token, Token::Repeated(_))),
            star: of(&|token| *token == Token::Star),
            any_star: of(&|token| *token == Token::AnyStar),
            folders: of(&|token| *token == Token::Folders),
            skipped: of(&|token| {
                matches!(token, Token::Maybe(_) | Token::Star | Token::AnyStar | Token::Folders)
            }),
            tokens: tokens.len(),
        }
    }

    /// Whether the whole of `name` matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.run(name).0
    }

    /// The same, with the words that were looked at: the cost.
    pub(super) fn run(&self, name: &str) -> (bool, usize) {
        let words = self.skipped.len();
        let mut all = ([0; WORDS_MAX], [0; WORDS_MAX]);
        let (now, next) = (&mut all.0[..words], &mut all.1[..words]);
        now[0] = 1;
        self.skip(now);
        let mut looked_at = words;
        for c in name.chars() {
            looked_at += words;
            if !self.step(c, now, next) {
                return (false, looked_at);
            }
            now.copy_from_slice(next);
        }
        (now[self.tokens / BITS] & 1 << (self.tokens % BITS) != 0, looked_at)
    }

    /// The places after one character; false when there are none.
    fn step(&self, c: char, now: &[u128], next: &mut [u128]) -> bool {
        let literal = self.chars.binary_search_by_key(&c, |(known, _)| *known);
        let literal = literal.ok().map(|at| &self.chars[at].1);
        let ends_segment = c == '/';
        let mut carry = 0;
        for (at, place) in next.iter_mut().enumerate() {
            let taken = now[at] & literal.map_or(0, |places| places[at]);
            let left = if ends_segment { taken | now[at] & self.folders[at] } else { taken };
            let stays = taken & self.repeated[at]
                | now[at] & self.any_star[at]
                | if ends_segment { 0 } else { now[at] & self.star[at] };
            *place = left << 1 | carry | stays;
            carry = left >> (BITS - 1);
        }
        self.skip(next);
        // In the middle of a folder's name its end cannot be skipped, so this comes last.
        let mut any = 0;
        for (at, place) in next.iter_mut().enumerate() {
            *place |= now[at] & self.folders[at];
            any |= *place;
        }
        any != 0
    }

    /// Adds all places that can be reached from these without a character. The carries of one
    /// addition run through whole rows of tokens that may be nothing.
    fn skip(&self, places: &mut [u128]) {
        let mut carry = false;
        for (place, skipped) in places.iter_mut().zip(&self.skipped) {
            let (sum, over) = skipped.overflowing_add(*place & skipped);
            let (sum, over_again) = sum.overflowing_add(u128::from(carry));
            *place |= skipped ^ sum;
            carry = over || over_again;
        }
    }
}

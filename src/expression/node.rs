//! The tree of an expression.

use super::names::Function;

/// One part of an expression.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A context, by its lower-case name.
    Context(&'static str),
    /// A property, an element, or all of them.
    Index(Box<Node>, Key),
    Not(Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// `a && b && c`: two or more, and none of them another one.
    All(Vec<Node>),
    /// `a || b || c`, likewise.
    Any(Vec<Node>),
    /// Any function but `fromJSON`.
    Call(Function, Vec<Node>),
    /// `fromJSON`, and the slot for what it makes.
    FromJson(usize, Box<Node>),
}

/// What is taken of a value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Key {
    /// `.name` and `['name']`.
    Name(Box<str>),
    /// `.*` and `[*]`.
    Each,
    /// `[..]`.
    Computed(Box<Node>),
}

/// What is written out.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
}

impl PartialEq for Literal {
    /// As they are written: `NaN` is the same as `NaN`, and `-0` another one than `0`.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => {
                one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
            }
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// Whether a text is a name as properties may have behind a dot.
pub(super) fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(first) && text.chars().all(is_in_name)
}

/// Whether a character may stand in a name.
pub(super) fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

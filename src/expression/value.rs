//! Values while they are worked with, and what GitHub makes of one kind where another is wanted:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#operators>.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::number;

/// A value that borrows from contexts where it can.
#[derive(Clone, Debug)]
pub(super) enum Val<'e> {
    /// As it stands in a context.
    Json(&'e Value),
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'e, str>),
    /// What a filter has found: elements that stand in contexts.
    Filtered(Vec<&'e Value>),
}

/// What kind of value it is, with what there is to compare.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind<'v> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'v str),
    List,
    Object,
}

impl<'e> Val<'e> {
    pub(super) fn kind(&self) -> Kind<'_> {
        match self {
            Self::Json(value) => kind_of(value),
            Self::Null => Kind::Null,
            Self::Bool(value) => Kind::Bool(*value),
            Self::Number(number) => Kind::Number(*number),
            Self::Text(text) => Kind::Text(text),
            Self::Filtered(_) => Kind::List,
        }
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Option<Vec<&'e Value>> {
        match self {
            Self::Json(Value::Array(items)) => Some(items.iter().collect()),
            Self::Filtered(items) => Some(items.clone()),
            _ => None,
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self.kind() {
            Kind::Null => false,
            Kind::Bool(value) => value,
            Kind::Number(number) => number != 0.0 && !number.is_nan(),
            Kind::Text(text) => !text.is_empty(),
            Kind::List | Kind::Object => true,
        }
    }

    /// Whether both are the same list or object of a context.
    fn is_same(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Self::Json(one), Val::Json(other)) => std::ptr::eq::<Value>(*one, *other),
            _ => false,
        }
    }

    pub(super) fn equals(&self, other: &Val<'_>) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Text(one), Kind::Text(other)) => one == other || folded(one).eq(folded(other)),
            (Kind::List | Kind::Object, _) | (_, Kind::List | Kind::Object) => self.is_same(other),
            (one, other) => number_of(one) == number_of(other),
        }
    }

    /// Which is less, where one of them is.
    pub(super) fn order(&self, other: &Val<'_>) -> Option<Ordering> {
        match (self.kind(), other.kind()) {
            (Kind::Text(one), Kind::Text(other)) => Some(in_utf16(one).cmp(in_utf16(other))),
            (Kind::List | Kind::Object, _) | (_, Kind::List | Kind::Object) => {
                self.is_same(other).then_some(Ordering::Equal)
            }
            (one, other) => number_of(one).partial_cmp(&number_of(other)),
        }
    }
}

pub(super) fn kind_of(value: &Value) -> Kind<'_> {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::Text(text),
        Value::Array(_) => Kind::List,
        Value::Object(_) => Kind::Object,
    }
}

pub(super) fn number_of(kind: Kind<'_>) -> f64 {
    match kind {
        Kind::Null => 0.0,
        Kind::Bool(value) => f64::from(u8::from(value)),
        Kind::Number(number) => number,
        Kind::Text(text) => number::parsed(text),
        Kind::List | Kind::Object => f64::NAN,
    }
}

/// The text of a value: nothing for null, `true` and `false`, numbers with 15 digits. Lists and objects have
/// none; where GitHub needs one it writes their kind, `Array` or `Object`.
pub(super) fn text(kind: Kind<'_>) -> Cow<'_, str> {
    match kind {
        Kind::Null => Cow::Borrowed(""),
        Kind::Bool(true) => Cow::Borrowed("true"),
        Kind::Bool(false) => Cow::Borrowed("false"),
        Kind::Number(number) => Cow::Owned(number::text(number)),
        Kind::Text(text) => Cow::Borrowed(text),
        Kind::List => Cow::Borrowed("Array"),
        Kind::Object => Cow::Borrowed("Object"),
    }
}

/// A value as GitHub writes it into a text: nothing for null, `true` and `false`, numbers with 15 digits,
/// and of lists and objects only their kind, `Array` or `Object`.
pub fn text_of(value: &Value) -> String {
    text(kind_of(value)).into_owned()
}

/// A character regardless of case. No letter beyond ASCII is the same as one of ASCII.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if !upper.is_ascii() => upper,
        _ => c,
    }
}

/// The characters of a text regardless of case.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(fold)
}

/// The same in the units by which GitHub orders texts.
fn in_utf16(text: &str) -> impl Iterator<Item = u16> {
    folded(text).flat_map(|c| {
        let mut units = [0; 2];
        let many = c.encode_utf16(&mut units).len();
        units.into_iter().take(many)
    })
}

/// Whether `==` of an expression holds between two values: texts regardless of case, values of different kinds as
/// numbers. A list or a mapping equals itself alone.
pub fn equals(one: &Value, other: &Value) -> bool {
    Val::Json(one).equals(&Val::Json(other))
}

/// Whether two names are the same regardless of case.
pub fn is_name(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    folded(one).eq(folded(other))
}

//! One key of a section on its way into the section's type.
//!
//! A section is read from a list of entries, not from the parsed table, because entries come from
//! two places (file and environment) and times with a unit have become milliseconds by then.

use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};

use super::{ConfigFile, Origin};

/// A key, its value, and who says it.
#[derive(Clone)]
pub(super) struct Entry<'i> {
    pub(super) key: String,
    pub(super) value: EntryValue<'i>,
    pub(super) origin: Origin,
}

/// A value as written, or one that was worked out from it.
#[derive(Clone)]
pub(super) enum EntryValue<'i> {
    /// As written.
    Toml(Spanned<DeValue<'i>>),
    /// A time, from text with a unit.
    Millis(i64),
}

impl<'i> Entry<'i> {
    /// The entries of a table of the file.
    pub(super) fn of_table(
        file: &ConfigFile,
        table: impl IntoIterator<Item = (Spanned<std::borrow::Cow<'i, str>>, Spanned<DeValue<'i>>)>,
    ) -> Vec<Self> {
        let entry = |(key, value): (Spanned<std::borrow::Cow<'i, str>>, _)| Self {
            origin: Origin::File(file.place(key.span().start)),
            key: key.into_inner().into_owned(),
            value: EntryValue::Toml(value),
        };
        table.into_iter().map(entry).collect()
    }
}

/// Reads a struct from entries; keys that it does not name are errors of its own.
pub(super) fn read<'i, T: Deserialize<'i>>(
    entries: impl IntoIterator<Item = Entry<'i>>,
) -> Result<T, Error> {
    let pairs = entries.into_iter().map(|entry| (entry.key, entry.value));
    T::deserialize(MapDeserializer::new(pairs))
}

impl<'de> IntoDeserializer<'de, Error> for EntryValue<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Hands every question on to the value; only for those that a TOML value answers in its own way
/// it matters which question it was.
impl<'de> Deserializer<'de> for EntryValue<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Toml(value) => ValueDeserializer::from(value).deserialize_any(visitor),
            Self::Millis(value) => visitor.visit_i64(value),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Toml(value) => {
                ValueDeserializer::from(value).deserialize_struct(name, fields, visitor)
            }
            Self::Millis(value) => visitor.visit_i64(value),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Toml(value) => {
                ValueDeserializer::from(value).deserialize_enum(name, variants, visitor)
            }
            Self::Millis(value) => visitor.visit_i64(value),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

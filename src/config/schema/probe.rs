//! Asks a type what it reads at a place, by letting it read: what it asks for first is the answer.
//!
//! A type reads each value once, so a place is reached anew for every question: the steps to it
//! are given, and where they end the question is noted and the reading given up.

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// The key of a value that is read with its place in the file, and stands for itself in the file.
const SPANNED_VALUE: &str = "$__serde_spanned_private_value";

/// One step into a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// To the value of this key.
    Key(&'static str),
    /// To an item of a list.
    Item,
    /// To a value under some name.
    Entry,
    /// Into this choice.
    Variant(&'static str),
}

/// What a type asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// It looks for itself.
    Anything,
    /// Nothing beside the name of the choice.
    Nothing,
    Truth,
    Whole,
    Number,
    Text,
    List,
    /// Values under names of the writer's.
    Names,
    /// Values under these keys.
    Keys(&'static [&'static str]),
    /// One of these.
    Choice(&'static [&'static str]),
}

/// What `T` asks for at the end of a path; anything, where the path does not lead.
pub(super) fn ask<T: DeserializeOwned>(path: &[Step]) -> Asked {
    let mut asked = Asked::Anything;
    // It always fails: the question is the answer.
    let _ = T::deserialize(Probe { path, asked: &mut asked });
    asked
}

struct Probe<'a> {
    path: &'a [Step],
    asked: &'a mut Asked,
}

impl<'a> Probe<'a> {
    /// Notes the question at the end of the path.
    fn note<V>(self, asked: Asked) -> Result<V, Error> {
        if self.path.is_empty() {
            *self.asked = asked;
        }
        Err(Error::custom("the question is known"))
    }

    /// The first step, and what is behind it.
    fn step(self) -> Result<(Step, Self), Self> {
        match self.path {
            [first, path @ ..] => Ok((*first, Self { path, asked: self.asked })),
            [] => Err(self),
        }
    }

    fn keys<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.step() {
            Err(here) => here.note(Asked::Keys(fields)),
            Ok((Step::Key(key), behind)) => visitor.visit_map(One::new(key, behind)),
            Ok(_) => Err(Error::custom("no such step")),
        }
    }
}

macro_rules! notes {
    ($asked:expr; $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            self.note($asked)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    notes! { Asked::Anything; deserialize_any deserialize_ignored_any deserialize_identifier
    deserialize_bytes deserialize_byte_buf }
    notes! { Asked::Truth; deserialize_bool }
    notes! { Asked::Whole; deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    notes! { Asked::Number; deserialize_f32 deserialize_f64 }
    notes! { Asked::Text; deserialize_char deserialize_str deserialize_string }
    notes! { Asked::Nothing; deserialize_unit }

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

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(Asked::Nothing)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.step() {
            Err(here) => here.note(Asked::List),
            Ok((Step::Item, behind)) => visitor.visit_seq(Item(Some(behind))),
            Ok(_) => Err(Error::custom("no such step")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.step() {
            Err(here) => here.note(Asked::Names),
            Ok((Step::Entry, behind)) => visitor.visit_map(One::new("name", behind)),
            Ok(_) => Err(Error::custom("no such step")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match fields {
            [.., SPANNED_VALUE] => visitor.visit_map(One::new(SPANNED_VALUE, self)),
            fields => self.keys(fields, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.step() {
            Err(here) => here.note(Asked::Choice(variants)),
            Ok((Step::Variant(name), behind)) => visitor.visit_enum(Variant(name, behind)),
            Ok(_) => Err(Error::custom("no such step")),
        }
    }
}

/// A map with one key.
struct One<'a> {
    key: Option<&'static str>,
    behind: Option<Probe<'a>>,
}

impl<'a> One<'a> {
    fn new(key: &'static str, behind: Probe<'a>) -> Self {
        Self { key: Some(key), behind: Some(behind) }
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key = self.key.take().map(BorrowedStrDeserializer::<Error>::new);
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let behind = self.behind.take().ok_or_else(|| Error::custom("no more values"))?;
        seed.deserialize(behind)
    }
}

/// A list with one item.
struct Item<'a>(Option<Probe<'a>>);

impl<'de> SeqAccess<'de> for Item<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|behind| seed.deserialize(behind)).transpose()
    }
}

/// One choice of several.
struct Variant<'a>(&'static str, Probe<'a>);

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Probe<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Probe<'a>), Error> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.0))?;
        Ok((name, self.1))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.note(Asked::Nothing)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.keys(fields, visitor)
    }
}

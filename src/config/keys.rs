//! The keys of a section, read off its type, so that they are written nowhere else.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The names of the fields of a struct that derives `Deserialize`; none for any other type.
pub(super) fn of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It always fails: a struct asks for its fields first, and that question is the answer.
    let _ = T::deserialize(Probe(&mut names));
    names
}

struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("the fields are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structs_keys_are_its_fields_and_a_number_has_none() {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Two {
            #[expect(dead_code, reason = "only its name is asked for")]
            first_one: u8,
            #[expect(dead_code, reason = "only its name is asked for")]
            second: u8,
        }
        assert_eq!(of::<Two>(), ["first-one", "second"]);
        assert!(of::<u8>().is_empty());
    }
}

//! Reading what may be anything: a field of the wrong type counts as absent.
//!
//! Forges add fields, make them null and change their types without notice, and a delivery must
//! not fail for a field that nobody needs. [`Maybe`] accepts every JSON value and keeps the one
//! that it wants. It reads straight from the text: no tree is built, and strings without escapes
//! are borrowed. What is skipped is skipped by serde_json without recursion.
//!
//! Two things stay errors where they are read, because serde_json refuses them before any type is
//! asked: numbers beyond an `f64`, and escapes that are half a character (`\ud800` alone).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value if it has the wanted type; `None` when it is null, absent, or of another type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::webhook) struct Maybe<T>(pub(in crate::webhook) Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Maybe<T> {
    pub(in crate::webhook) fn as_ref(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl Maybe<Cow<'_, str>> {
    pub(in crate::webhook) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A type that may be wanted. Each function is asked when the JSON value is of that sort; what a
/// type does not want is `None`, after the value has been read to its end.
pub(in crate::webhook) trait Wanted<'de>: Sized {
    fn from_borrowed(_: &'de str) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_integer(_: i64) -> Option<Self> {
        None
    }

    fn from_array<A: SeqAccess<'de>>(mut array: A) -> Result<Option<Self>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de: 'a, 'a> Wanted<'de> for Cow<'a, str> {
    fn from_borrowed(text: &'de str) -> Option<Self> {
        Some(Cow::Borrowed(text))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Cow::Owned(text.to_owned()))
    }
}

impl Wanted<'_> for bool {
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Wanted<'_> for i64 {
    fn from_integer(value: i64) -> Option<Self> {
        Some(value)
    }
}

/// That a value is an object, whatever is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::webhook) struct AnyObject;

impl<'de> Wanted<'de> for AnyObject {
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}

/// An array; items of the wrong type stay in it as `None`, so that its length is the sender's.
impl<'de, T: Wanted<'de>> Wanted<'de> for Vec<Maybe<T>> {
    fn from_array<A: SeqAccess<'de>>(mut array: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = array.next_element()? {
            items.push(item);
        }
        Ok(Some(items))
    }
}

/// Lets a struct whose fields are all `Maybe` be wanted as a JSON object.
macro_rules! wanted_object {
    ($($name:ident),+ $(,)?) => {$(
        impl<'de: 'a, 'a> $crate::webhook::github::lenient::Wanted<'de> for $name<'a> {
            fn from_object<A: serde::de::MapAccess<'de>>(
                object: A,
            ) -> Result<Option<Self>, A::Error> {
                let object = serde::de::value::MapAccessDeserializer::new(object);
                serde::Deserialize::deserialize(object).map(Some)
            }
        }
    )+};
}
pub(super) use wanted_object;

impl<'de, T: Wanted<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData)).map(Self)
    }
}

struct AnyValue<T>(PhantomData<T>);

impl<'de, T: Wanted<'de>> Visitor<'de> for AnyValue<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(T::from_borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::from_bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::from_integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).ok().and_then(T::from_integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        T::from_array(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Default, Debug)]
    #[serde(default)]
    struct Thing<'a> {
        #[serde(borrow)]
        name: Maybe<Cow<'a, str>>,
        number: Maybe<i64>,
        flag: Maybe<bool>,
        #[serde(borrow)]
        list: Maybe<Vec<Maybe<Cow<'a, str>>>>,
        #[serde(borrow)]
        inner: Maybe<Box<Thing<'a>>>,
    }

    impl<'de, T: Wanted<'de>> Wanted<'de> for Box<T> {
        fn from_object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
            Ok(T::from_object(object)?.map(Box::new))
        }
    }

    wanted_object!(Thing);

    fn read(json: &str) -> Maybe<Thing<'_>> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn wanted_values_are_kept_and_borrowed() {
        let thing = read(
            r#"{"name":"a","number":7,"flag":true,"list":["x",1],"inner":{"name":"\u0062"},"new":{}}"#,
        )
        .0
        .unwrap();
        assert!(matches!(thing.name.0, Some(Cow::Borrowed("a"))));
        assert_eq!((thing.number.0, thing.flag.0), (Some(7), Some(true)));
        let list = thing.list.0.unwrap();
        assert_eq!((list[0].as_str(), list[1].as_str()), (Some("x"), None));
        assert_eq!(thing.inner.0.unwrap().name.as_str(), Some("b"));
    }

    #[test]
    fn a_value_of_any_other_type_counts_as_absent() {
        for value in [
            "null",
            "true",
            "1",
            "-1",
            "1.5",
            "18446744073709551615",
            "\"\\n\"",
            "[[1]]",
            "{\"a\":{}}",
        ] {
            let json = format!(
                r#"{{"name":{value},"number":{value},"flag":{value},"list":{value},"inner":{value}}}"#
            );
            let thing = read(&json).0.unwrap();
            assert!(thing.name.0.is_none() || value.starts_with('"'), "{value}");
            assert!(thing.number.0.is_none() || matches!(value, "1" | "-1"), "{value}");
            assert!(thing.flag.0.is_none() || value == "true", "{value}");
            assert!(thing.list.0.is_none() || value.starts_with('['), "{value}");
            assert!(thing.inner.0.is_none() || value.starts_with('{'), "{value}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_thing() {
        for json in ["[]", "[\"a\",1,true,[],{}]", "null", "3", "\"a\""] {
            assert!(read(json).0.is_none(), "{json}");
        }
    }
}

//! An account as somebody names it in the configuration.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The longest login or id, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// An account: by what it keeps for ever, or by its present name.
///
/// A number, also one that is written as text, is never compared with a login: a login may consist of digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Member {
    /// The forge's number of it: `583231`.
    Number(i64),
    /// The provider's own id of it, where that is no number: `id:U012AB3CD`.
    Id(Box<str>),
    /// Its present login, in lower case. It can be given up and taken by somebody else.
    Login(Box<str>),
}

impl Member {
    /// Reads `583231`, `id:U012AB3CD` or `octocat`.
    ///
    /// # Errors
    /// What it should be instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_named = |name: &str| {
            !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                && !name.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        let wrong =
            || format!("{text:?} is no account: write its number, `id:` and its id, or its login");
        match text.strip_prefix("id:") {
            Some(id) if is_named(id) => {
                Ok(id.parse().map_or_else(|_| Self::Id(id.into()), Self::Number))
            }
            Some(_) => Err(wrong()),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Self::Number).map_err(|_| wrong())
            }
            None if is_named(text) => {
                let login = text.strip_prefix('@').unwrap_or(text);
                let login = Some(login).filter(|it| !it.is_empty()).ok_or_else(wrong)?;
                Ok(Self::Login(login.to_lowercase().into()))
            }
            None => Err(wrong()),
        }
    }

    /// Whether it is the account with that number, id and login.
    pub fn is(&self, number: Option<i64>, id: Option<&str>, login: &str) -> bool {
        match self {
            Self::Number(own) => number == Some(*own),
            Self::Id(own) => id == Some(own),
            Self::Login(own) => !login.is_empty() && login.to_lowercase() == **own,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Login(login) => f.write_str(login),
        }
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => to.serialize_i64(*number),
            Self::Id(_) | Self::Login(_) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an account: its number, or its login as text")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Member, E> {
                match number {
                    0 => Err(E::custom("0 is the number of no account")),
                    number => Ok(Member::Number(number)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Member, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(0))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Member, E> {
                Member::parse(text).map_err(E::custom)
            }
        }

        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_number_an_id_or_a_login() {
        let parsed = |text: &str| Member::parse(text).map(|it| it.to_string());
        assert_eq!(Member::parse("583231"), Ok(Member::Number(583_231)));
        assert_eq!(Member::parse("id:583231"), Ok(Member::Number(583_231)));
        assert_eq!(parsed("id:U012"), Ok("id:U012".to_owned()));
        assert_eq!(parsed("@Octo-Cat"), Ok("octo-cat".to_owned()));
        assert_eq!(parsed("renovate[bot]"), Ok("renovate[bot]".to_owned()));
        for wrong in ["", "@", "id:", "two words", "a\0b", "99999999999999999999", &"x".repeat(101)]
        {
            assert!(Member::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_number_is_no_login_and_a_login_no_number() {
        let number = Member::parse("7").unwrap();
        assert!(number.is(Some(7), None, "anybody"));
        assert!(!number.is(Some(8), None, "7") && !number.is(None, Some("7"), "7"));
        let id = Member::parse("id:U7").unwrap();
        assert!(id.is(None, Some("U7"), "") && !id.is(None, Some("u7"), "U7"));
        let login = Member::parse("Octo").unwrap();
        assert!(login.is(Some(1), None, "oCTO") && !login.is(Some(1), Some("octo"), "octo2"));
        assert!(!login.is(None, None, ""));
    }
}

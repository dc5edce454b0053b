//! Texts that may hold expressions, and settings that are known or made of such texts.

use serde_json::Value as Json;
use serde_saphyr::Location;

use super::place::Place;
use super::read::Reader;
use super::yaml::{Node, Value};
use crate::expression::{EvalError, Scope, Template, Uses};

/// A text with its place in the file.
#[derive(Clone, Debug)]
pub struct Text {
    template: Template,
    source: String,
    at: Location,
    path: String,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.path == other.path
    }
}

impl Text {
    /// As it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it stands.
    pub(super) fn at(&self) -> Location {
        self.at
    }

    /// Its path of keys.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it says what it means.
    pub(super) fn is_literal(&self) -> bool {
        self.template.is_literal()
    }

    /// The text itself, if it is no expression.
    pub(super) fn literal(&self) -> Option<&str> {
        self.is_literal().then_some(&*self.source)
    }

    /// What its expressions use.
    pub(super) fn uses(&self) -> Uses {
        self.template.uses()
    }

    /// The text with its expressions filled in.
    pub(super) fn fill(&self, scope: &Scope<'_>) -> Result<String, String> {
        self.template.text(scope).map_err(|error| self.told(&error))
    }

    /// The value: of one whole expression with its type, else the text.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Json, String> {
        self.template.value(scope).map_err(|error| self.told(&error))
    }

    fn told(&self, error: &EvalError) -> String {
        format!("{}: {error}", self.path)
    }
}

/// Something that the file says, or has an expression say.
#[derive(Clone, PartialEq, Debug)]
pub enum Setting<T> {
    /// It is this.
    Known(T),
    /// An expression says it.
    Text(Text),
}

impl<T> Setting<T> {
    /// The text that has to be filled in first.
    pub(super) fn text(&self) -> Option<&Text> {
        match self {
            Self::Known(_) => None,
            Self::Text(text) => Some(text),
        }
    }
}

impl Setting<bool> {
    /// What it says.
    pub(super) fn get(&self, scope: &Scope<'_>) -> Result<bool, String> {
        match self {
            Self::Known(value) => Ok(*value),
            Self::Text(text) => match text.value(scope)? {
                Json::Bool(value) => Ok(value),
                Json::Null => Ok(false),
                other => Err(format!("{}: {other} is neither true nor false", text.path)),
            },
        }
    }
}

impl Setting<u32> {
    /// What it says, once `fault` has nothing against it.
    pub(super) fn get(
        &self,
        scope: &Scope<'_>,
        fault: impl Fn(u32) -> Option<String>,
    ) -> Result<u32, String> {
        let text = match self {
            Self::Known(value) => return Ok(*value),
            Self::Text(text) => text,
        };
        let value = text.value(scope)?;
        let number = match &value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse::<f64>().ok(),
            _ => None,
        };
        let whole =
            number.filter(|it| it.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(it));
        let Some(whole) = whole else {
            return Err(format!("{}: {value} is no whole number", text.path));
        };
        let whole = whole as u32;
        fault(whole).map_or(Ok(whole), |fault| Err(format!("{}: {fault}", text.path)))
    }
}

impl Reader<'_> {
    /// Checks the expressions of a text that stands at `place`; `None` when they are wrong.
    pub(super) fn template(
        &mut self,
        text: &str,
        node: &Node,
        path: &str,
        place: Place,
    ) -> Option<Template> {
        match Template::parse(text) {
            Err(error) => {
                self.fault_in(node, error.at, path, error.message);
                error.hint.into_iter().for_each(|hint| self.hint(hint));
                None
            }
            Ok(template) => match place.fault(&template.uses()) {
                Some((message, hint)) => {
                    self.fault_in(node, text.find("${{").unwrap_or(0), path, message);
                    self.hint(hint);
                    None
                }
                None => Some(template),
            },
        }
    }

    /// A short text that may hold expressions.
    pub(super) fn text_at(
        &mut self,
        node: Node,
        path: &str,
        place: Place,
        bytes_max: usize,
    ) -> Option<Text> {
        let (at, copy) = (node.referenced, node.clone());
        let source = self.text(node, path, bytes_max)?;
        let template = self.template(&source, &copy, path, place)?;
        Some(Text { template, source, at, path: path.to_owned() })
    }

    /// A boolean, or an expression that says one.
    pub(super) fn truth(&mut self, node: Node, path: &str, place: Place) -> Option<Setting<bool>> {
        match &node.value {
            Value::Text(text) if text.contains("${{") => {
                self.text_at(node, path, place, TEXT_BYTES_MAX).map(Setting::Text)
            }
            _ => self.boolean(&node, path).map(Setting::Known),
        }
    }

    /// A whole number, or an expression that says one.
    pub(super) fn count(
        &mut self,
        node: Node,
        path: &str,
        place: Place,
        fault: impl Fn(u32) -> Option<String>,
    ) -> Option<Setting<u32>> {
        match &node.value {
            Value::Text(text) if text.contains("${{") => {
                self.text_at(node, path, place, TEXT_BYTES_MAX).map(Setting::Text)
            }
            _ => self.number(&node, path, fault).map(Setting::Known),
        }
    }
}

/// The longest text with expressions that is no script and no value of an environment, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024;

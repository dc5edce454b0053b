//! From a tree and a scope to a value.
//!
//! A value of a context stays where it is until an expression has come to it. What `fromJSON` makes lies in
//! slots, one for each call, so that it can be borrowed likewise.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::error::EvalError;
use super::node::{Comparison, Key, Literal, Node};
use super::scope::{Fuel, Scope};
use super::value::{self, Kind, Val};
use super::{functions, number};

/// Where values from `fromJSON` lie.
pub(super) type Slots = [OnceCell<Value>];

pub(super) fn slots(many: usize) -> Box<Slots> {
    std::iter::repeat_with(OnceCell::new).take(many).collect()
}

/// One evaluation.
pub(super) struct Machine<'e> {
    pub(super) scope: &'e Scope<'e>,
    slots: &'e Slots,
    pub(super) fuel: &'e Fuel,
}

impl<'e> Machine<'e> {
    pub(super) fn new(scope: &'e Scope<'_>, slots: &'e Slots, fuel: &'e Fuel) -> Self {
        Self { scope, slots, fuel }
    }

    pub(super) fn run(&self, node: &'e Node) -> Result<Val<'e>, EvalError> {
        self.fuel.take(1)?;
        Ok(match node {
            Node::Literal(Literal::Null) => Val::Null,
            Node::Literal(Literal::Bool(value)) => Val::Bool(*value),
            Node::Literal(Literal::Number(number)) => Val::Number(*number),
            Node::Literal(Literal::Text(text)) => Val::Text(Cow::Borrowed(text)),
            Node::Context(name) => Val::Json(self.scope.context(name)?),
            Node::Index(of, key) => {
                let of = self.run(of)?;
                self.index(&of, key)?
            }
            Node::Not(of) => Val::Bool(!self.run(of)?.truth()),
            Node::Compare(how, left, right) => {
                Val::Bool(self.compare(*how, &self.run(left)?, &self.run(right)?)?)
            }
            Node::All(parts) => self.first(parts, false)?,
            Node::Any(parts) => self.first(parts, true)?,
            Node::Call(function, arguments) => functions::call(self, *function, arguments)?,
            Node::FromJson(slot, of) => self.parsed(*slot, of)?,
        })
    }

    /// The first of the parts that counts as `truth`, or else the last one.
    fn first(&self, parts: &'e [Node], truth: bool) -> Result<Val<'e>, EvalError> {
        let mut value = Val::Null;
        for part in parts {
            value = self.run(part)?;
            if value.truth() == truth {
                break;
            }
        }
        Ok(value)
    }

    fn compare(&self, how: Comparison, left: &Val<'_>, right: &Val<'_>) -> Result<bool, EvalError> {
        self.pay_for(left.kind())?;
        self.pay_for(right.kind())?;
        Ok(match how {
            Comparison::Equal => left.equals(right),
            Comparison::NotEqual => !left.equals(right),
            Comparison::Less => left.order(right) == Some(Ordering::Less),
            Comparison::Greater => left.order(right) == Some(Ordering::Greater),
            Comparison::LessOrEqual => left.order(right).is_some_and(Ordering::is_le),
            Comparison::GreaterOrEqual => left.order(right).is_some_and(Ordering::is_ge),
        })
    }

    pub(super) fn pay_for(&self, kind: Kind<'_>) -> Result<(), EvalError> {
        match kind {
            Kind::Text(text) => self.fuel.take(text.len()),
            _ => self.fuel.take(1),
        }
    }

    fn index(&self, of: &Val<'e>, key: &'e Key) -> Result<Val<'e>, EvalError> {
        if let Key::Each = key {
            return self.each(of);
        }
        let computed = match key {
            Key::Name(name) => Val::Text(Cow::Borrowed(name)),
            Key::Computed(node) => self.run(node)?,
            Key::Each => Val::Null,
        };
        let found = match of {
            Val::Filtered(items) => {
                let mut found = Vec::new();
                for item in items {
                    self.fuel.take(1)?;
                    found.extend(self.child(item, &computed)?);
                }
                return Ok(Val::Filtered(found));
            }
            Val::Json(value) => self.child(value, &computed)?,
            _ => None,
        };
        Ok(found.map_or(Val::Null, Val::Json))
    }

    /// All children; of what a filter has found, all of their children.
    fn each(&self, of: &Val<'e>) -> Result<Val<'e>, EvalError> {
        let mut found = Vec::new();
        let of = match of {
            Val::Filtered(items) => items.clone(),
            Val::Json(value) => vec![*value],
            _ => Vec::new(),
        };
        for value in of {
            self.fuel.take(1)?;
            match value {
                Value::Array(items) => {
                    self.fuel.take(items.len())?;
                    found.extend(items);
                }
                Value::Object(entries) => {
                    self.fuel.take(entries.len())?;
                    found.extend(entries.values());
                }
                _ => {}
            }
        }
        Ok(Val::Filtered(found))
    }

    /// The child of a list or an object.
    fn child(&self, of: &'e Value, key: &Val<'_>) -> Result<Option<&'e Value>, EvalError> {
        match of {
            Value::Array(items) => Ok(place(key).and_then(|place| items.get(place))),
            Value::Object(entries) => match key.kind() {
                Kind::List | Kind::Object => Ok(None),
                kind => self.entry(entries, &value::text(kind)),
            },
            _ => Ok(None),
        }
    }

    /// The entry of this name, or else the first of it in another case.
    fn entry(
        &self,
        entries: &'e Map<String, Value>,
        name: &str,
    ) -> Result<Option<&'e Value>, EvalError> {
        if let Some(value) = entries.get(name) {
            return Ok(Some(value));
        }
        self.fuel.take(entries.len())?;
        let mut alike = entries.iter().filter(|(key, _)| value::is_name(key, name));
        Ok(alike.next().map(|(_, value)| value))
    }

    /// What `fromJSON` makes.
    fn parsed(&self, slot: usize, of: &'e Node) -> Result<Val<'e>, EvalError> {
        let of = self.run(of)?;
        let text = self.text(&of)?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| EvalError::NotJson(error.to_string()))?;
        // Each node is evaluated once, so its slot is free; were it not, the same text had made the same.
        Ok(self.slots.get(slot).map_or(Val::Null, |it| Val::Json(it.get_or_init(|| value))))
    }

    /// The text of a value, paid for.
    pub(super) fn text<'v>(&self, value: &'v Val<'_>) -> Result<Cow<'v, str>, EvalError> {
        self.pay_for(value.kind())?;
        Ok(value::text(value.kind()))
    }

    /// A value of its own, paid for.
    pub(super) fn copied(&self, value: Val<'_>) -> Result<Value, EvalError> {
        Ok(match value {
            Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(value),
            Val::Number(number) => number::json(number),
            Val::Text(text) => Value::String(text.into_owned()),
            Val::Json(value) => {
                self.pay_for_all(value)?;
                value.clone()
            }
            Val::Filtered(items) => {
                items.iter().try_for_each(|item| self.pay_for_all(item))?;
                Value::Array(items.into_iter().cloned().collect())
            }
        })
    }

    fn pay_for_all(&self, value: &Value) -> Result<(), EvalError> {
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            self.fuel.take(1)?;
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(entries) => {
                    for (key, value) in entries {
                        self.fuel.take(key.len())?;
                        open.push(value);
                    }
                }
                other => self.pay_for(value::kind_of(other))?,
            }
        }
        Ok(())
    }
}

/// The place in a list that a key means.
fn place(key: &Val<'_>) -> Option<usize> {
    let number = value::number_of(key.kind()).floor();
    // Also false for NaN.
    if !(0.0..=f64::from(i32::MAX)).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 2^31")]
    Some(number as usize)
}

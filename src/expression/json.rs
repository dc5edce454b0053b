//! A value as JSON text in the form of `toJSON`: two blanks for each level, `{}` and `[]` for what is empty.

use serde_json::Value;

use super::error::EvalError;
use super::scope::Fuel;
use super::value::{self, Kind, Val};

/// The most levels: more than JSON that was read can have.
const LEVELS_MAX: usize = 256;

pub(super) fn written(value: &Val<'_>, fuel: &Fuel) -> Result<String, EvalError> {
    let mut writer = Writer { out: String::new(), paid: 0, fuel };
    match value {
        Val::Json(value) => writer.value(value, 0)?,
        Val::Filtered(items) => writer.list(items.iter().copied(), 0)?,
        other => writer.plain(other.kind()),
    }
    writer.pay()?;
    Ok(writer.out)
}

struct Writer<'f> {
    out: String,
    /// How many bytes are paid for.
    paid: usize,
    fuel: &'f Fuel,
}

impl Writer<'_> {
    fn pay(&mut self) -> Result<(), EvalError> {
        self.fuel.take(self.out.len() - self.paid)?;
        self.paid = self.out.len();
        Ok(())
    }

    fn value(&mut self, value: &Value, level: usize) -> Result<(), EvalError> {
        self.pay()?;
        if level > LEVELS_MAX {
            return Err(EvalError::Deep(LEVELS_MAX));
        }
        match value {
            Value::Array(items) => self.list(items.iter(), level),
            Value::Object(entries) if entries.is_empty() => {
                self.out.push_str("{}");
                Ok(())
            }
            Value::Object(entries) => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    self.out.push_str(if at == 0 { "{" } else { "," });
                    self.line(level + 1);
                    self.text(key);
                    self.out.push_str(": ");
                    self.value(value, level + 1)?;
                }
                self.line(level);
                self.out.push('}');
                Ok(())
            }
            other => {
                self.plain(value::kind_of(other));
                Ok(())
            }
        }
    }

    fn list<'v>(
        &mut self,
        items: impl ExactSizeIterator<Item = &'v Value>,
        level: usize,
    ) -> Result<(), EvalError> {
        if items.len() == 0 {
            self.out.push_str("[]");
            return Ok(());
        }
        for (at, item) in items.enumerate() {
            self.out.push_str(if at == 0 { "[" } else { "," });
            self.line(level + 1);
            self.value(item, level + 1)?;
        }
        self.line(level);
        self.out.push(']');
        Ok(())
    }

    fn line(&mut self, level: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", level));
    }

    fn plain(&mut self, kind: Kind<'_>) {
        match kind {
            Kind::Null => self.out.push_str("null"),
            Kind::Text(text) => self.text(text),
            other => self.out.push_str(&value::text(other)),
        }
    }

    fn text(&mut self, text: &str) {
        let quoted = Value::from(text).to_string();
        // Line ends of Unicode, which JSON lets stand and GitHub does not.
        for c in quoted.chars() {
            match c {
                '\u{85}' => self.out.push_str("\\u0085"),
                '\u{2028}' => self.out.push_str("\\u2028"),
                '\u{2029}' => self.out.push_str("\\u2029"),
                c => self.out.push(c),
            }
        }
    }
}

//! Prompt templates: text with `{{ event.title }}`-like placeholders over a closed list of fields.
//!
//! A template is cut into pieces once, when the configuration is loaded. Filling it puts each
//! value in its place and never looks at the result again, so a title that reads
//! `{{ event.body }}` stays a title. There are no expressions, no conditions and no way to write
//! a literal `{{`.

use crate::event::Event;
use crate::model::Untrusted;

/// The longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 65_536;
/// The most bytes of one value that are inserted; what is longer is cut, and says so.
pub const VALUE_BYTES_MAX: usize = 65_536;
/// The most placeholders of one template: with the two maxima above they bound a filled prompt.
pub const PLACEHOLDERS_MAX: usize = 32;

/// Why a template is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that names no field.
    #[error("unknown placeholder `{{{{ {0} }}}}`; known are {known}", known = known())]
    Unknown(String),
    /// `{{` without `}}`.
    #[error("`{{{{` at byte {0} is not closed by `}}}}`")]
    Open(usize),
    /// It is over [`TEMPLATE_BYTES_MAX`].
    #[error("{0} bytes are too long, at most {TEMPLATE_BYTES_MAX}")]
    TooLong(usize),
    /// More than [`PLACEHOLDERS_MAX`].
    #[error("over {PLACEHOLDERS_MAX} placeholders")]
    TooMany,
    /// It asks nothing.
    #[error("it is empty")]
    Empty,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A place in [`FIELDS`].
    Field(usize),
}

type Read = fn(&Event) -> Option<String>;

/// Every placeholder and what it stands for; an absent value is empty text.
const FIELDS: [(&str, Read); 15] = [
    ("event.source", |event| Some(event.source.clone())),
    ("event.kind", |event| Some(event.kind.as_str().to_owned())),
    ("event.action", |event| event.action.clone()),
    ("event.repository", |event| event.repository.as_ref().map(|it| it.full_name.clone())),
    ("event.actor", |event| event.actor.as_ref().map(|it| it.login.clone())),
    ("event.number", |event| event.subject.number.map(|it| it.to_string())),
    ("event.url", |event| event.subject.url.clone()),
    ("event.title", |event| text(event.subject.title.as_ref())),
    ("event.body", |event| text(event.subject.body.as_ref())),
    ("event.ref", |event| text(event.git_ref.as_ref())),
    ("event.base_ref", |event| text(event.base_ref.as_ref())),
    ("event.head_ref", |event| text(event.head_ref.as_ref())),
    ("event.sha", |event| event.sha.clone()),
    ("event.label", |event| event.label.clone()),
    ("event.labels", |event| Some(event.labels.join(", "))),
];

fn text(value: Option<&Untrusted>) -> Option<String> {
    value.map(|it| it.as_data().to_owned())
}

fn known() -> String {
    FIELDS.map(|(name, _)| name).join(", ")
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// A placeholder that is unknown or not closed; an empty or over-long text.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLong(text.len()));
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find("{{") {
            let (before, inside) = (&rest[..open], &rest[open + 2..]);
            let open_at = text.len() - rest.len() + open;
            let close = inside.find("}}").ok_or(TemplateError::Open(open_at))?;
            let name = inside[..close].trim();
            let field = FIELDS.iter().position(|(known, _)| *known == name);
            let field = field.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            pieces.extend([Piece::Text(before.to_owned()), Piece::Field(field)]);
            rest = &inside[close + 2..];
        }
        if pieces.len() > 2 * PLACEHOLDERS_MAX {
            return Err(TemplateError::TooMany);
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text with the event's values in it: as untrusted as they are.
    pub fn fill(&self, event: &Event) -> Untrusted {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Field(at) => {
                    let value = FIELDS[*at].1(event).unwrap_or_default();
                    let end = value.floor_char_boundary(VALUE_BYTES_MAX);
                    filled.push_str(&value[..end]);
                    if end < value.len() {
                        filled.push_str(&format!("[cut: {} bytes more]", value.len() - end));
                    }
                }
            }
        }
        Untrusted::new(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::decide::tests::event;

    fn filled(template: &str, title: &str) -> String {
        let mut event = event("pull_request");
        event.subject.title = Some(title.into());
        event.subject.body = Some("the body".into());
        event.subject.number = Some(7);
        Template::compile(template).unwrap().fill(&event).as_data().to_owned()
    }

    #[test]
    fn placeholders_are_filled_and_absent_values_are_empty() {
        let text = filled("#{{event.number}} {{ event.title }}/{{  event.sha}}.", "Fix it");
        assert_eq!(text, "#7 Fix it/.");
        assert_eq!(filled("no placeholder, }} is text", ""), "no placeholder, }} is text");
    }

    #[test]
    fn a_hostile_title_stays_one_value() {
        let title = "{{ event.body }} ${{ secrets.X }} $(rm -rf /) \"'`\n--flag {{";
        let text = filled("Review <{{ event.title }}> end", title);
        assert_eq!(text, format!("Review <{title}> end"));
    }

    #[test]
    fn two_values_cannot_join_into_a_placeholder() {
        let mut event = event("push");
        event.subject.title = Some("{{ event".into());
        event.subject.body = Some(".sha }}".into());
        event.sha = Some("secret".into());
        let template = Template::compile("{{ event.title }}{{ event.body }}").unwrap();
        assert_eq!(template.fill(&event).as_data(), "{{ event.sha }}");
    }

    #[test]
    fn a_value_is_cut_at_its_maximum_and_says_so() {
        let text = filled("{{ event.title }}", &"ü".repeat(40_000));
        assert!(text.ends_with("ü[cut: 14464 bytes more]"), "{}", &text[text.len() - 40..]);
        assert!(text.len() < VALUE_BYTES_MAX + 40);
    }

    #[test]
    fn what_cannot_be_filled_is_refused_at_load() {
        let error = |text: &str| Template::compile(text).unwrap_err();
        insta::assert_snapshot!(
            error("Look at {{ event.titel }}"),
            @"unknown placeholder `{{ event.titel }}`; known are event.source, event.kind, event.action, event.repository, event.actor, event.number, event.url, event.title, event.body, event.ref, event.base_ref, event.head_ref, event.sha, event.label, event.labels"
        );
        assert_eq!(error("a {{ event.sha }} {{ event"), TemplateError::Open(18));
        assert_eq!(error("a {{ event").to_string(), "`{{` at byte 2 is not closed by `}}`");
        assert_eq!(error(" \n"), TemplateError::Empty);
        assert_eq!(error(&"{{event.sha}}".repeat(33)), TemplateError::TooMany);
        assert_eq!(error(&"x".repeat(65_537)), TemplateError::TooLong(65_537));
    }
}

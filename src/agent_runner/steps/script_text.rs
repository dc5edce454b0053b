//! What may be filled into a script as text: what its author wrote, and values that no shell can take for
//! anything but a word.
//!
//! Values from outside reach a script by variables, which the planner sees to. This looks once more, at the
//! values themselves: a number that a sender made a text of is not put in.

use serde_json::Value;

use crate::expression::{Expression, Piece, Scope, Template, text_of};

use super::contexts::Contexts;

impl Contexts {
    /// A script with its expressions filled in.
    ///
    /// # Errors
    ///
    /// As of [`Self::fill`], and where a value is not plain.
    pub(super) async fn fill_script(
        &self,
        text: &str,
        env: Option<&Value>,
    ) -> Result<String, String> {
        if !self.fills || !text.contains("${{") {
            return Ok(text.to_owned());
        }
        let of_text = |error: &dyn std::fmt::Display| self.told("run", text, error);
        let template = Template::parse(text).map_err(|error| of_text(&error))?;
        let ask = |scope: &Scope<'_>| {
            let filled = template.text(scope)?;
            Ok(not_plain(&template, scope).map_or(Ok(filled), Err))
        };
        let answer = self.evaluate(env, None, ask).await.map_err(|error| of_text(&error))?;
        answer.map_err(|expression| {
            of_text(&format!(
                "the value of `{expression}` may not become a part of a script, because it can have \
                 other than letters, digits and `-_.`: put it into the step's `env`, and read the \
                 variable"
            ))
        })
    }
}

/// The first expression whose value could be more than a word.
fn not_plain(template: &Template, scope: &Scope<'_>) -> Option<String> {
    let is_plain = |path: &str| {
        let value = Expression::parse(path).ok().and_then(|read| read.evaluate(scope).ok());
        value.is_some_and(|value| is_word(&value))
    };
    template.pieces().iter().find_map(|piece| match piece {
        Piece::Expression { expression, .. } if !expression.is_plain(&is_plain) => {
            Some(expression.to_string().chars().take(200).collect())
        }
        _ => None,
    })
}

fn is_word(value: &Value) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // A list would be told as a word, but it is none of the values that it stands for.
    !value.is_array() && !value.is_object() && text_of(value).chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::job_context;
    use super::*;
    use crate::model::WorkflowJob;

    fn contexts(github: &Value) -> Contexts {
        let contexts = json!({ "github": github, "matrix": { "n": 3 } });
        let contexts = contexts.as_object().expect("a map").clone();
        let mut context = job_context(Vec::new());
        context.workflow = Some(Box::new(WorkflowJob { contexts, ..WorkflowJob::default() }));
        Contexts::new(&context, [], PathBuf::from("/nowhere"), Arc::default())
    }

    #[tokio::test]
    async fn plain_values_and_the_authors_own_text_are_filled_in_and_nothing_else() {
        let github = json!({ "sha": "a1", "title": "$(id)", "number": "7; id", "list": ["$(id)"] });
        let contexts = contexts(&github);
        let table = [
            ("a ${{ github.sha }} ${{ matrix.n }} ${{ github.none }}", Some("a a1 3 ")),
            ("${{ github.title == '$(id)' && 'yes; no' || 'no' }}", Some("yes; no")),
            ("${{ github.title }}", None),
            ("${{ github.number }}", None),
            ("${{ format('{0}', github.title) }}", None),
            ("${{ github.list }}", None),
            ("${{ join(github.list) }}", None),
            ("${{ toJSON(github) }}", None),
        ];
        for (text, expected) in table {
            let filled = contexts.fill_script(text, None).await;
            assert_eq!(filled.as_deref().ok(), expected, "{text}: {filled:?}");
            if let Err(error) = filled {
                assert!(error.contains("may not become a part of a script"), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_is_filled_in_only_if_it_is_a_word(value in "(?s).{0,12}|[a-z0-9._-]{0,12}") {
            let contexts = contexts(&json!({ "value": value }));
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let filled = runtime.block_on(contexts.fill_script("${{ github.value }}", None));
            match filled {
                Ok(filled) => {
                    prop_assert_eq!(&filled, &value);
                    prop_assert!(is_word(&Value::from(value)));
                }
                Err(_) => prop_assert!(!is_word(&Value::from(value))),
            }
        }
    }
}

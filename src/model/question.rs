//! One line of a dry run: a question in JSON.

use serde::Deserialize;

/// Reads a question, which is a JSON object. The names of what it asks are part of it, so a list of values is none,
/// though it could be read as one.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn question<'q, T: Deserialize<'q>>(line: &'q str) -> Result<T, String> {
    if line.trim_start().starts_with('[') {
        return Err("a list is no question: write a JSON object".to_owned());
    }
    serde_json::from_str(line).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_an_object() {
        #[derive(Deserialize)]
        struct Asked {
            n: u8,
        }
        assert_eq!(question::<Asked>("  {\"n\": 7}\r").map(|it| it.n), Ok(7));
        assert!(question::<Asked>(" [7]").is_err_and(|it| it.contains("no question")));
        assert!(question::<Asked>("7").is_err_and(|it| it.contains("invalid type")));
    }
}

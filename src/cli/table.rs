//! Tables for people. Text that somebody outside wrote cannot move the cursor here.

use comfy_table::{ContentArrangement, Table, presets};

/// Rows under a header, columns as wide as they need to be; `nothing` when there are no rows.
pub(super) fn rows(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    nothing: &str,
) -> String {
    let mut table = plain();
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell)));
    }
    if table.is_empty() { nothing.to_owned() } else { lines(&table) }
}

/// A name and a value on each line. Values without a name go on with the one before.
pub(super) fn fields<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = plain();
    for (name, value) in pairs {
        table.add_row([name.to_owned(), visible(&value)]);
    }
    lines(&table)
}

/// Parts of a page with a blank line between them; empty parts are left out.
pub(super) fn page(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Without the spaces that the columns have around them.
fn lines(table: &Table) -> String {
    let lines = table.lines();
    let trimmed = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    trimmed.collect::<Vec<_>>().join("\n")
}

/// Control characters as their escapes; line ends in cells become spaces.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            // Besides control characters: marks that change the direction of what follows.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_escapes_are_shown() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = rows(&["ID", "NAME"], [row(["7", "build\u{1b}[2J"]), row(["12", "a\nb"])], "-");
        insta::assert_snapshot!(table, @r#"
        ID  NAME
        7   build\u{1b}[2J
        12  a b
        "#);
        assert_eq!(rows(&["ID"], [], "no jobs"), "no jobs");
    }

    #[test]
    fn a_page_leaves_out_what_is_empty() {
        let fields = fields([("state", "running".to_owned()), ("", "x".to_owned())]);
        insta::assert_snapshot!(page([fields, String::new(), "end".to_owned()]), @r#"
        state  running
               x

        end
        "#);
    }
}

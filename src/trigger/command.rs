//! Commands in what people write: `/agent ...` at the beginning of a line, `@name ...` anywhere in it.
//!
//! Only what a reader sees as the writer's own words counts. Code (fenced, indented, inline), quotes and HTML
//! comments are blanked out first, as CommonMark (<https://spec.commonmark.org/0.31.2/>) has them, and in doubt
//! more of them: a line right below a quote belongs to it, and a fence or comment that is not closed goes on
//! to the end. What is asked is then the text as it was written, from the command on, code included.

use std::ops::Range;

/// The longest name of a command, in bytes.
const NAME_BYTES_MAX: usize = 60;

/// A word by which an agent is called: `/agent`, `@agent`, and `/agent@our_bot`, which also hears the bare `/agent`: in
/// groups of Telegram people say which bot they mean (<https://core.telegram.org/bots/features#commands>).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallWord(String);

impl CallWord {
    /// Reads one: `/agent`, `/agent@bot` or `@name`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, bot) = match (text.strip_prefix('/'), text.strip_prefix('@')) {
            (Some(rest), _) => {
                rest.split_once('@').map_or((rest, None), |(it, bot)| (it, Some(bot)))
            }
            (None, rest) => (rest.unwrap_or_default(), None),
        };
        if is_name(name) && bot.is_none_or(is_name) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(NAME_BYTES_MAX).collect();
        Err(format!(
            "`{shown}` is no command: write `/name`, `/name@bot` or `@name` of letters, digits, `-`, `_`"
        ))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is asked by it in a text, without the space around it; `None` where nobody calls. May be empty.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let own = own_words(text);
        let place = match self.0.starts_with('/') {
            true => at_line_begin(&own, &self.0),
            false => mention(&own, &self.0),
        }?;
        Some(text.get(place.end..).unwrap_or_default().trim())
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A `/name` with which a line begins, or that and the name of the bot that is meant, and nothing but space after it.
fn at_line_begin(own: &str, word: &str) -> Option<Range<usize>> {
    let (bare, bot) = word.split_at(word.find('@').unwrap_or(word.len()));
    let mut at = 0;
    for line in own.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let from = at + indent;
        at += line.len();
        let Some(rest) = starts_with(&line[indent..], bare) else { continue };
        let after = starts_with(rest, bot).unwrap_or(rest);
        if after.chars().next().is_none_or(char::is_whitespace) {
            return Some(from..from + line.len() - indent - after.len());
        }
    }
    None
}

/// A `@name` that is a word of its own.
fn mention(own: &str, word: &str) -> Option<Range<usize>> {
    own.char_indices().filter(|(_, c)| *c == '@').find_map(|(at, _)| {
        let after = starts_with(&own[at..], word)?;
        let before = own[..at].chars().next_back();
        // `a@b`, `@@b`, `x/@b` and `.@b` are no mentions.
        let begins = before.is_none_or(|c| {
            c.is_whitespace() || matches!(c, '(' | '[' | ',' | ';' | ':' | '"' | '\'')
        });
        let mut rest = after.chars();
        let ends = match rest.next() {
            None => true,
            Some(c) if c.is_whitespace() => true,
            // The end of a sentence, and no part of a longer name.
            Some(',' | '.' | ':' | ';' | '!' | '?' | ')' | ']') => {
                rest.next().is_none_or(char::is_whitespace)
            }
            Some(_) => false,
        };
        (begins && ends).then(|| {
            let end = at + word.len();
            let mark = after.chars().next().filter(|c| !c.is_whitespace());
            at..end + mark.map_or(0, char::len_utf8)
        })
    })
}

/// What follows `word`, compared without regard to the case of ASCII letters, as forges do.
fn starts_with<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let head = text.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

/// The text with everything blanked out that is not the writer's own words: as long as before, with its lines.
fn own_words(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    blank_blocks(text, &mut bytes);
    let visible = String::from_utf8_lossy(&bytes).into_owned();
    blank_inline(&visible, &mut bytes);
    // Only whole pieces between ASCII bytes are blanked, so it is UTF-8 still.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    for byte in &mut bytes[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Fenced and indented code, quotes with what follows them at once, comments over several lines.
fn blank_blocks(text: &str, bytes: &mut [u8]) {
    let (mut fence, mut in_comment, mut in_quote) = (None, false, false);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        let content = line.trim_end();
        let indent = content.len() - content.trim_start_matches(' ').len();
        let inner = content.trim_start();
        if let Some((mark, length)) = fence {
            blank(bytes, range);
            let closing = run(inner, mark);
            let bare = inner[closing..].trim().is_empty();
            if closing >= length && bare && indent < 4 {
                fence = None;
            }
        } else if in_comment {
            blank(bytes, range);
            in_comment = !content.contains("-->");
        } else if inner.is_empty() {
            in_quote = false;
        } else if indent >= 4 || content[..content.len() - inner.len()].contains('\t') {
            blank(bytes, range);
        } else if let Some(opening) = opening(inner) {
            blank(bytes, range);
            (fence, in_quote) = (Some(opening), false);
        } else if inner.starts_with('>') || in_quote {
            in_quote = true;
            blank(bytes, range);
        } else {
            // The rest of this line is seen to with what is inside of lines.
            in_comment = content.rfind("<!--").is_some_and(|from| !content[from..].contains("-->"));
        }
    }
}

/// A fence that begins here: its mark and how many of it.
fn opening(inner: &str) -> Option<(char, usize)> {
    ['`', '~'].into_iter().find_map(|mark| {
        let length = run(inner, mark);
        let info = &inner[length..];
        (length >= 3 && (mark == '~' || !info.contains('`'))).then_some((mark, length))
    })
}

/// With how many of `mark` a text begins.
fn run(text: &str, mark: char) -> usize {
    text.len() - text.trim_start_matches(mark).len()
}

/// Inline code up to the end of its paragraph, and comments.
fn blank_inline(visible: &str, bytes: &mut [u8]) {
    let mut at = 0;
    while at < visible.len() {
        let rest = &visible[at..];
        if rest.starts_with("<!--") {
            let end = rest.find("-->").map_or(visible.len(), |end| at + end + 3);
            blank(bytes, at..end);
            at = end;
        } else if rest.starts_with('`') {
            let length = run(rest, '`');
            match closing(&rest[length..], length) {
                Some(end) => {
                    blank(bytes, at..at + length + end);
                    at += length + end;
                }
                None => at += length,
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
}

/// Where inline code ends that begins with so many backticks.
fn closing(rest: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if at > 0 && line.trim().is_empty() {
            return None;
        }
        let mut inside = 0;
        while let Some(from) = line[inside..].find('`') {
            let from = inside + from;
            let found = run(&line[from..], '`');
            if found == length {
                return Some(at + from + found);
            }
            inside = from + found;
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slash(text: &str) -> Option<&str> {
        CallWord::parse("/agent").unwrap().find(text)
    }

    fn at(text: &str) -> Option<&str> {
        CallWord::parse("@bot").unwrap().find(text)
    }

    #[test]
    fn a_command_begins_a_line_and_takes_what_follows() {
        assert_eq!(slash("/agent fix it"), Some("fix it"));
        assert_eq!(slash("Hello\n\n  /Agent fix\nthis\n"), Some("fix\nthis"));
        assert_eq!(slash("/agent"), Some(""));
        assert_eq!(slash("/agent look:\n```\nx = 1\n```"), Some("look:\n```\nx = 1\n```"));
    }

    #[test]
    fn a_command_may_say_which_bot_is_meant() {
        let word = CallWord::parse("/agent@our_bot").unwrap();
        for (text, asked) in [
            ("/agent@our_bot fix it", Some("fix it")),
            ("/AGENT@Our_Bot\nfix", Some("fix")),
            ("/agent fix", Some("fix")),
            ("/agent@our_bot", Some("")),
            ("/agent@other_bot fix", None),
            ("/agent@our_bots fix", None),
            ("/agents@our_bot fix", None),
        ] {
            assert_eq!(word.find(text), asked, "{text}");
        }
        assert_eq!(slash("/agent@our_bot fix"), None, "nobody has said that it is ours");
        for text in ["/agent@", "/@bot", "/a@b@c", "@a@b"] {
            assert!(CallWord::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_command_is_none() {
        let table = [
            "please /agent fix",
            "/agents fix",
            "/agent-x fix",
            "//agent fix",
            "/age nt",
            "",
            "agent fix",
            "/agent.fix",
            "\\/agent fix",
        ];
        for text in table {
            assert_eq!(slash(text), None, "{text}");
        }
    }

    #[test]
    fn code_quotes_and_comments_are_not_the_writers_words() {
        let table = [
            "> /agent x",
            "> quoted\n/agent right below",
            "```\n/agent x\n```",
            "~~~ sh\n/agent x\n~~~",
            "    /agent x",
            "\t/agent x",
            "`/agent x`",
            "``\n/agent x\n``",
            "<!-- /agent x -->",
            "<!--\n/agent x\n-->",
            "<!--\n/agent x",
            "```\nnever closed\n/agent x",
            "````\n```\n/agent x\n````",
            "> > /agent x",
            "text <!-- hidden\n/agent x -->",
            "<!--\n```\n-->\n```\n/agent x",
            "- `a\n/agent x` b",
        ];
        for text in table {
            assert_eq!(slash(text), None, "{text}");
        }
    }

    #[test]
    fn words_beside_code_quotes_and_comments_are() {
        assert_eq!(slash("> quoted\n\n/agent x"), Some("x"));
        assert_eq!(slash("```\ncode\n```\n/agent x"), Some("x"));
        assert_eq!(slash("<!-- note -->\n/agent x"), Some("x"));
        assert_eq!(slash("a ` lone tick\n/agent x"), Some("x"));
        assert_eq!(slash("`one`\n/agent `two`"), Some("`two`"));
        assert_eq!(slash("~~struck~~\n/agent x"), Some("x"));
    }

    #[test]
    fn a_mention_is_a_word_of_its_own() {
        assert_eq!(at("@bot fix it"), Some("fix it"));
        assert_eq!(at("hey @Bot, fix it"), Some("fix it"));
        assert_eq!(at("(@bot) x"), Some("x"));
        assert_eq!(at("fix it @bot"), Some(""));
        for text in [
            "a@bot x",
            "@bot-ci x",
            "@bot2 x",
            "@bots x",
            "x/@bot y",
            "@@bot x",
            "`@bot` x",
            "mail me@bot.test",
            "@bot.test x",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_call_word_is_a_plain_name_behind_its_mark() {
        for word in ["agent", "/", "@", "/a b", "@a/b", "/-x", "!x", "/\u{e4}"] {
            assert!(CallWord::parse(word).unwrap_err().contains("is no command"), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_fault_and_nothing_is_moved(text in "[ \\n\\t>`~<!/@a-cé\\-]{0,200}") {
            let own = own_words(&text);
            prop_assert_eq!(own.len(), text.len());
            let same = |(a, b): (u8, u8)| a == b || a == b' ';
            prop_assert!(own.bytes().zip(text.bytes()).all(same));
        }

        #[test]
        fn what_stands_in_a_fence_is_never_a_command(inside in "[ \\na-z/@]{0,80}") {
            let text = format!("````\n{inside}\n/agent x\n````");
            prop_assert_eq!(slash(&text), None);
        }
    }
}

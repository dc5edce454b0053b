//! Server-sent events, parsed from chunks as they arrive:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.
//!
//! Deliberately absent: `retry`, because how long to wait is for whoever reads to decide.

/// The longest line, and the longest event, that is kept; a server that sends more is not ours.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SseEvent {
    /// The last id that the stream named up to here.
    pub id: Option<String>,
    /// The event's name; `message` when it has none.
    pub event: String,
    /// The data, its lines joined.
    pub data: String,
}

/// An event is longer than anything that the server sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event of the stream is longer than {EVENT_BYTES_MAX} bytes")]
pub struct TooLong;

/// Turns bytes into events.
#[derive(Debug, Default)]
pub struct SseParser {
    /// Bytes of the line that is not complete yet.
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// Whether the first line, which may have a byte order mark, is behind us.
    begun: bool,
    id: Option<String>,
    event: String,
    data: String,
    has_data: bool,
}

impl SseParser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives the events that they complete. An event that the stream
    /// breaks off in is never given.
    ///
    /// # Errors
    /// An event is too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            let follows_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if follows_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ if self.line.len() + self.data.len() >= EVENT_BYTES_MAX => return Err(TooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // An id with a NUL is ignored, says the standard; so are comments, which have no
            // field, and fields that nobody knows.
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then(|| SseEvent {
            id: self.id.clone(),
            event: if event.is_empty() { "message".to_owned() } else { event },
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Vec<SseEvent> {
        SseParser::new().push(text.as_bytes()).unwrap()
    }

    fn event(id: Option<&str>, event: &str, data: &str) -> SseEvent {
        SseEvent { id: id.map(str::to_owned), event: event.to_owned(), data: data.to_owned() }
    }

    const STREAM: &str = "\u{feff}: hello\r\n\r\nid: 1-5\r\nevent: log\r\ndata: grün\r\ndata:\r\n\
                          data:  two\r\n\r\ndata\n\nid\nevent: end\rdata: x\r\rdata: cut off";

    fn expected() -> Vec<SseEvent> {
        vec![
            event(Some("1-5"), "log", "grün\n\n two"),
            event(Some("1-5"), "message", ""),
            event(Some(""), "end", "x"),
        ]
    }

    #[test]
    fn lines_of_data_are_joined_and_comments_and_broken_ends_are_dropped() {
        assert_eq!(parse(STREAM), expected());
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(parse("event: ping\nid: 7\n\ndata: a\n\n"), [event(Some("7"), "message", "a")]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = SseParser::new();
        let chunk = vec![b'x'; EVENT_BYTES_MAX / 2 + 1];
        assert_eq!(parser.push(&chunk), Ok(Vec::new()));
        assert_eq!(parser.push(&chunk), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_chunks_are_cut_does_not_matter(cuts in prop::collection::vec(0usize..200, 0..12)) {
            let bytes = STREAM.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut parser = SseParser::new();
            let mut events = Vec::new();
            for pair in cuts.windows(2) {
                events.extend(parser.push(&bytes[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(events, expected());
        }
    }
}

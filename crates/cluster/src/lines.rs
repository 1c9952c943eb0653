//! Splits a watch answer into its lines while the bytes arrive.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One line, or the news that one was too long to keep.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line end; never empty.
    Whole(&'a [u8]),
    /// It is longer than the limit; only its beginning is handed out, and it may still be going on.
    TooLong {
        /// How it begins.
        head: &'a [u8],
    },
}

/// The state between two chunks.
#[derive(Debug)]
pub struct Lines {
    held: Vec<u8>,
    /// In the rest of a line that was reported as too long.
    skipping: bool,
    max_line: usize,
}

impl Lines {
    /// A splitter that keeps lines of at most so many bytes.
    pub fn new(max_line: usize) -> Self {
        Lines { held: Vec::new(), skipping: false, max_line }
    }

    /// Takes the next bytes and hands out the lines that end in them. A last line without an end is never handed out:
    /// the server was cut off in the middle of it.
    pub fn push(&mut self, mut chunk: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        while !chunk.is_empty() {
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.skipping {
                self.skipping = end.is_none();
            } else if self.held.len() + part.len() > self.max_line {
                let head = if self.held.is_empty() { part } else { &self.held };
                each(Line::TooLong { head: &head[..head.len().min(4096)] });
                self.held = Vec::new();
                self.skipping = end.is_none();
            } else if end.is_none() {
                self.held.extend_from_slice(part);
            } else {
                let line = if self.held.is_empty() {
                    part
                } else {
                    self.held.extend_from_slice(part);
                    &self.held
                };
                let line = line.trim_ascii();
                if !line.is_empty() {
                    each(Line::Whole(line));
                }
                self.held.clear();
            }
            chunk = end.map_or(&[], |end| &chunk[end + 1..]);
        }
    }
}

/// The object of a line that says that one was written, as API servers write such lines: with the verb first and nothing
/// behind the object. Whoever decodes it reads all of its bytes, so that it needs no look at the line before.
pub fn written(line: &[u8]) -> Option<&[u8]> {
    let beginnings = [br#"{"type":"MODIFIED","object":"#.as_slice(), br#"{"type":"ADDED","object":"#];
    beginnings.into_iter().find_map(|beginning| line.strip_prefix(beginning))?.strip_suffix(b"}")
}

/// One event of a watch, its object still in bytes.
#[derive(Debug, Deserialize)]
pub(crate) struct WatchLine<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`.
    #[serde(rename = "type", borrow)]
    pub(crate) verb: Cow<'a, str>,
    /// The object, or a Status.
    #[serde(borrow)]
    pub(crate) object: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<String> {
        let mut splitter = Lines::new(limit);
        let mut seen = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, &mut |line| {
                seen.push(match line {
                    Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                    Line::TooLong { .. } => "TOO LONG".to_owned(),
                });
            });
        }
        seen
    }

    #[test]
    fn lines_are_the_same_at_every_chunk_boundary() {
        let body = b"first\r\n\n  second \nthird is much too long\nfourth\ncut off";
        for size in 1..=body.len() {
            let chunks: Vec<&[u8]> = body.chunks(size).collect();
            assert_eq!(lines(&chunks, 12), ["first", "second", "TOO LONG", "fourth"], "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_reported_once_and_held_nowhere() {
        let mut splitter = Lines::new(1000);
        let mut reports = 0;
        for _ in 0..10_000 {
            splitter.push(&[b'x'; 100], &mut |_| reports += 1);
        }
        assert_eq!(reports, 1);
        assert!(splitter.held.capacity() < 4096);
    }
}

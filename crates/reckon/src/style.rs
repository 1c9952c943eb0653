//! Colour and width.

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Muted,
    Accent,
    Good,
    Warning,
    Critical,
}

/// Whether to colour. Status is glyph and word first, so that nothing is lost without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Colour,
    None,
}

impl Paint {
    /// The text in its style. The text must be clean already: this is the only place that writes escapes.
    pub(crate) fn with(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Strong => "1",
            Style::Muted => "2",
            Style::Accent => "34",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Critical => "31;1",
        };
        match self {
            Paint::None => text.to_owned(),
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Breaks text at spaces so that no line is longer than `width` characters, words that are longer excepted.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        if !out.is_empty() {
            out.push('\n');
        }
        let mut used = 0;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > width {
                out.push('\n');
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_nowhere_else() {
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("one  two three ", 7), "one two\nthree");
        assert_eq!(wrap("a-very-long-word b", 5), "a-very-long-word\nb");
    }

    #[test]
    fn without_colour_nothing_is_added() {
        assert_eq!(Paint::None.with(Style::Critical, "x"), "x");
    }
}

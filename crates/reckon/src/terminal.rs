//! Where output goes.

use crate::again::Again;
use crate::args::{Colour, DataFormat, Format};
use crate::exit::{Exit, Failure};
use crate::human::Page;
use crate::jsonpath::Template;
use crate::style::Paint;
use crate::when::When;
use reckon_model::document::ProblemList;
use reckon_model::text::clean;
use std::io::{IsTerminal, Write};

/// Standard output and error, and what the person asked of them.
pub(crate) struct Terminal {
    colour: Colour,
    pub(crate) program: &'static str,
}

/// Which question a document answers: it decides the layout for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Why {
        /// Whether what was considered is told as well.
        verbose: bool,
    },
    Problems,
}

impl Terminal {
    pub(crate) fn new(colour: Colour, program: &'static str) -> Self {
        Terminal { colour, program }
    }

    /// Writes data to standard output. A reader that went away (`| head`) ends the program quietly.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::new(Exit::Partial, format!("failed to write the answer: {error}"))),
        }
    }

    /// A sentence on standard error.
    pub(crate) fn warn(&self, sentence: &str) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{}: {}", self.program_name(), clean(sentence));
    }

    fn program_name(&self) -> &'static str {
        "reckon"
    }

    /// Whether to colour: asked for, or a terminal that can and a person who did not say no.
    pub(crate) fn paint(&self) -> Paint {
        let on = match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
            }
        };
        if on { Paint::Colour } else { Paint::None }
    }

    /// The width to wrap at: the terminal's as the shell tells it, else 100.
    pub(crate) fn width(&self) -> usize {
        std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok())
            .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
            .unwrap_or(100)
            .clamp(60, 160)
    }

    /// The columns that lines are cut to: a terminal's. What goes into a pipe is not cut.
    pub(crate) fn room(&self) -> Option<usize> {
        std::io::stdout().is_terminal().then(|| self.width())
    }

    /// Writes a document in the format asked for.
    pub(crate) fn document(
        &self,
        list: &ProblemList,
        format: &Format,
        question: Question,
        local: bool,
        again: &Again,
    ) -> Result<(), Failure> {
        let text = match format {
            Format::Json => json(list)?,
            Format::Yaml => value(&serde_json::to_value(list).map_err(|error| unwritable(&error))?, DataFormat::Yaml)?,
            Format::JsonPath(template) => filled(template, list)?,
            Format::Name => list.problems.iter().map(|problem| format!("{}\n", crate::human::name(problem))).collect(),
            Format::Human | Format::Wide => {
                let page = Page {
                    paint: self.paint(),
                    width: self.width(),
                    terminal: std::io::stdout().is_terminal(),
                    when: When::new(local, list.as_of),
                    program: self.program,
                    again,
                    verbose: question == Question::Why { verbose: true },
                };
                match question {
                    Question::Why { .. } => page.why(list),
                    Question::Problems => page.problems(list, *format == Format::Wide),
                }
            }
        };
        self.data(&text)
    }
}

/// What is going on, on standard error, while somebody watches it on a terminal. Gone when it is done.
pub(crate) struct Progress {
    shown: Option<std::time::Instant>,
    on: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Progress { shown: None, on: std::io::stderr().is_terminal() && !dumb }
    }

    /// Says it, ten times a second at most.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        let lately = self.shown.is_some_and(|at| at.elapsed().as_millis() < 100);
        if self.on && !lately {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", clean(&text()));
            self.shown = Some(std::time::Instant::now());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// A document as JSON. Control characters that JSON lets pass unescaped (C1, bidirectional) are escaped as well: a
/// terminal may be what reads it.
pub(crate) fn json(list: &ProblemList) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(list).map_err(|error| unwritable(&error))?;
    text.push('\n');
    Ok(escape(&text))
}

/// A document as JSON on one line.
pub(crate) fn json_line(list: &ProblemList) -> Result<String, Failure> {
    Ok(escape(&serde_json::to_string(list).map_err(|error| unwritable(&error))?) + "\n")
}

/// A template filled in from a document.
pub(crate) fn filled(template: &Template, list: &ProblemList) -> Result<String, Failure> {
    Ok(template.fill(&serde_json::to_value(list).map_err(|error| unwritable(&error))?))
}

/// A document as YAML.
pub(crate) fn yaml(list: &ProblemList) -> Result<String, Failure> {
    value(&serde_json::to_value(list).map_err(|error| unwritable(&error))?, DataFormat::Yaml)
}

/// Any data as JSON or YAML.
pub(crate) fn value(value: &serde_json::Value, format: DataFormat) -> Result<String, Failure> {
    let mut text = match format {
        DataFormat::Yaml => serde_saphyr::to_string(value).map_err(|error| unwritable(&error))?,
        DataFormat::Human | DataFormat::Json => {
            serde_json::to_string_pretty(value).map_err(|error| unwritable(&error))?
        }
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(escape(&text))
}

fn unwritable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Partial, format!("failed to write the answer: {error}"))
}

/// `\uXXXX` for what must not reach a terminal; newlines stay.
pub(crate) fn escape(text: &str) -> String {
    let hostile = |c: char| clean(c.encode_utf8(&mut [0; 4])).len() != c.len_utf8();
    if !text.chars().any(hostile) {
        return text.to_owned();
    }
    text.chars().map(|c| if hostile(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

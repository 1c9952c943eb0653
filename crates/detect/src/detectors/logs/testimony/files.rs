//! Paths that cannot be read or written.

use super::{Line, Testimony};

/// Longer paths are none.
const LONG: usize = 512;

/// What a line says of a path. Without a path it says nothing.
pub(super) fn of(line: &Line) -> Option<Testimony> {
    let (kind, words): (fn(String) -> Testimony, &str) = [
        (Testimony::ReadOnly as fn(String) -> Testimony, "read-only file system"),
        (Testimony::ReadOnly, "erofs:"),
        (Testimony::ReadOnly, "readonlyfilesystem"),
        (Testimony::ReadOnly, "readonly file system"),
        (Testimony::Denied, "permission denied"),
        (Testimony::Denied, "eacces:"),
        (Testimony::Denied, "accessdeniedexception"),
        (Testimony::Denied, "operation not permitted"),
        (Testimony::NoFile, "no such file or directory"),
        (Testimony::NoFile, "enoent:"),
        (Testimony::NoFile, "filenotfound"),
        (Testimony::NoFile, "nosuchfileexception"),
    ]
    .into_iter()
    .find(|(_, words)| line.has(words))?;
    path(line, words).map(kind)
}

/// The path nearest to the words that say what is the matter: just before them (`open /data/x: permission denied`), else
/// after (`Permission denied: '/data/x'`).
fn path(line: &Line, words: &str) -> Option<String> {
    let before = line.before(words)?;
    let after = line.after(words)?;
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | '[' | ']' | ',' | ';' | '=');
    let is_path = |word: &&str| word.starts_with('/') && word.len() > 1 && !word.starts_with("//");
    let clean = |word: &str| word.trim_end_matches([':', '.', ',']).to_owned();
    let paths = |text: &str| {
        // A place in the program is no path that it wanted.
        text.split(ends)
            .filter(is_path)
            .map(clean)
            .filter(|word| word.len() <= LONG && !source(word))
            .collect::<Vec<_>>()
    };
    let after = paths(after);
    // Python, Node and Java say the path after, in quotes or behind a colon.
    let mut before = paths(before);
    let quoted = line.after(": '").is_some() && after.len() == 1;
    if quoted { after.into_iter().next() } else { before.pop().or_else(|| after.into_iter().next()) }
}

/// Whether a path is that of a program's text, with a line.
fn source(path: &str) -> bool {
    let mut parts = path.rsplitn(2, ':');
    let line = parts.next().is_some_and(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()));
    line && parts.next().is_some()
}

//! Settings, databases and tables that a program misses.

use super::{Line, Testimony, quoted};

/// Names are not longer.
const LONG: usize = 128;

/// A name as variables and settings have it.
fn name(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fits = (2..=LONG).contains(&text.len())
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let upper =
        text.bytes().any(|byte| byte.is_ascii_uppercase()) && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    // A word of the sentence is no setting: one is written in capitals, or has an underscore or a dot in it.
    (fits && (upper || text.contains(['_', '.']))).then(|| text.to_owned())
}

fn first(text: &str) -> Option<String> {
    quoted(text).and_then(name).or_else(|| name(text.split([' ', ',', ';', ')']).next()?))
}

fn last(text: &str) -> Option<String> {
    name(text.trim_end().rsplit([' ', ',', '(', '=']).next()?)
}

/// A variable or setting that is not there.
pub(super) fn unset(line: &Line) -> Option<Testimony> {
    const BEFORE: [&str; 22] = [
        "keyerror: ",
        "could not resolve placeholder ",
        "missing required environment variable: ",
        "missing required environment variables: ",
        "missing required environment variable ",
        "missing environment variable: ",
        "missing environment variable ",
        "missing env var ",
        "missing env ",
        "environment variable not found: ",
        "required environment variable ",
        "required env variable ",
        "required variable ",
        "required key ",
        "required setting ",
        "missing required setting ",
        "missing required config ",
        "environment variable ",
        "env var ",
        "missing setting ",
        "key not found: ",
        "set the ",
    ];
    const AFTER: [&str; 18] = [
        " is not set",
        " not set",
        " must be set",
        " is required",
        " is undefined",
        " is not defined",
        " was not set",
        ": unbound variable",
        ": parameter null or not set",
        ": parameter not set",
        " environment variable is missing",
        " environment variable not set",
        " is missing",
        " not configured",
        " must not be empty",
        " is empty",
        " must be provided",
        " is not configured",
    ];
    let misses = line.any(&[
        "missing",
        "required",
        "not set",
        "not found",
        "must be",
        "keyerror",
        "placeholder",
        "undefined",
        "not defined",
        "unbound",
        "empty",
        "not configured",
    ]);
    if !misses {
        return None;
    }
    let after = || AFTER.iter().find_map(|words| last(line.before(words)?));
    let before = || BEFORE.iter().find_map(|words| first(line.after(words)?));
    after().or_else(before).map(Testimony::Unset)
}

/// A database, a table or a migration that is not there.
pub(super) fn schema(line: &Line) -> Option<Testimony> {
    // What is made where it is missing, or taken away where it is there, may be missing.
    if line.any(&["skipping", "creating", "will be created", "created successfully"]) {
        return None;
    }
    let word = |words: &str, end: &str| {
        let rest = line.after(words)?;
        (end.is_empty() || rest.to_ascii_lowercase().contains(end)).then(|| {
            let what = quoted(rest).unwrap_or_else(|| rest.split([' ', ',', ';', '.', ':']).next().unwrap_or(""));
            reckon_model::text::shorten(what.trim(), 80).into_owned()
        })
    };
    let named = |kind: &str, name: Option<String>| name.map(|name| Testimony::Schema(format!("{kind} {name}")));
    named("database", word("fatal: database ", "does not exist").or_else(|| word("unknown database ", "")))
        .or_else(|| named("database", word(" database ", "does not exist")))
        .or_else(|| named("table", word("relation ", "does not exist").or_else(|| word("no such table: ", ""))))
        .or_else(|| named("table", word("table ", "doesn't exist")))
        .or_else(|| named("table", word("missing table ", "").or_else(|| word("invalid object name ", ""))))
        .or_else(|| line.has("ora-00942").then(|| Testimony::Schema("a table".to_owned())))
        .or_else(|| named("column", word("column ", "does not exist")))
        .or_else(|| named("column", word("unknown column ", "").or_else(|| word("no such column: ", ""))))
        .or_else(|| {
            let behind = line.any(&[
                "pending migration",
                "migrations are pending",
                "unapplied migration",
                "dirty database version",
                "schema is not up to date",
                "please run migrations",
                "need to run migrations",
                "must run migrations",
                "run migrations first",
                "schema version mismatch",
                "pendingmigrationerror",
                "migrations have failed validation",
                "detected failed migration",
                "found failed migrations",
                "target database is not up to date",
                "can't locate revision identified by",
                "migration is missing",
            ]);
            behind.then(|| Testimony::Schema("a migration".to_owned()))
        })
}

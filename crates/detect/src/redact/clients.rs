//! Well-known clients that take credentials behind short flags, which no name gives away.

use super::shapes::skip;
use std::ops::Range;

/// How a client takes its credential.
pub(super) struct Client {
    programs: &'static [&'static str],
    /// Flags whose next word is it.
    next: &'static [&'static str],
    /// A flag to whose letter it is attached: `-phunter2`.
    attached: Option<&'static str>,
    /// The word is `user:password`.
    pair: bool,
}

const CLIENTS: [Client; 8] = [
    Client { programs: &["curl"], next: &["-u", "--user", "-U", "--proxy-user"], attached: Some("-u"), pair: true },
    Client { programs: &["redis-cli", "valkey-cli"], next: &["-a", "--pass"], attached: None, pair: false },
    Client {
        programs: &["mysql", "mysqladmin", "mysqldump", "mysqlsh", "mariadb", "mariadb-admin", "mariadb-dump"],
        next: &[],
        attached: Some("-p"),
        pair: false,
    },
    Client { programs: &["mongo", "mongosh", "mongodump", "mongorestore"], next: &["-p"], attached: None, pair: false },
    Client { programs: &["sshpass"], next: &["-p"], attached: Some("-p"), pair: false },
    Client {
        programs: &["ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami"],
        next: &["-w"],
        attached: Some("-w"),
        pair: false,
    },
    Client { programs: &["docker", "podman", "nerdctl", "helm"], next: &["-p"], attached: None, pair: false },
    Client { programs: &["smbclient"], next: &["-U"], attached: None, pair: true },
];

/// Programs whose flags mean other things outside of this subcommand: `docker run -p 80:80`.
const LOGIN: [&str; 4] = ["docker", "podman", "nerdctl", "helm"];

/// The client of this name or path.
pub(super) fn client(program: &str) -> Option<&'static Client> {
    let program = program.rsplit('/').next().unwrap_or(program);
    CLIENTS.iter().find(|client| client.programs.contains(&program))
}

/// What a word says of itself and of the one behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Nothing,
    /// The credential begins here in the word.
    From(usize),
    /// The next word is it.
    Next,
}

impl Client {
    /// What a word after the program's name says. `earlier` are the words between.
    pub(super) fn says(&self, word: &str, earlier: &[&str]) -> Says {
        if self.programs.iter().any(|program| LOGIN.contains(program)) && !earlier.contains(&"login") {
            return Says::Nothing;
        }
        if self.next.contains(&word) {
            return Says::Next;
        }
        // `-su app:hunter2`: the last of a group of letters takes the value.
        let grouped = self.pair && is_group(word) && word.ends_with('u');
        if grouped {
            return Says::Next;
        }
        match self.attached.filter(|flag| word.len() > flag.len() && word.starts_with(flag)) {
            Some(flag) if self.pair => {
                self.secret_of(&word[flag.len()..]).map_or(Says::Nothing, |at| Says::From(flag.len() + at))
            }
            Some(flag) => Says::From(flag.len()),
            None => Says::Nothing,
        }
    }

    /// Where the credential begins in the word that holds it.
    pub(super) fn secret_of(&self, word: &str) -> Option<usize> {
        if self.pair { word.find(':').map(|at| at + 1) } else { Some(0) }
    }
}

fn is_group(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| {
        letters.len() > 1 && letters.len() <= 6 && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// The credentials in a command line that begins with the word that ends at `from`.
pub(super) fn command_line(text: &str, program: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let Some(client) = text.get(program.clone()).and_then(client) else { return };
    let mut earlier: Vec<&str> = Vec::new();
    let mut at = program.end;
    let mut takes = false;
    while let Some(word) = word_at(text, at) {
        let Some(here) = text.get(word.clone()) else { return };
        if takes {
            spans.extend(client.secret_of(here).map(|from| word.start + from..word.end));
            takes = false;
        } else {
            match client.says(here, &earlier) {
                Says::Nothing => {}
                Says::Next => takes = true,
                Says::From(from) => {
                    // The value may have quotes of its own: `-p'hunter2'`.
                    let quoted = usize::from(matches!(here.as_bytes().get(from), Some(b'\'' | b'"')));
                    spans.push(word.start + from + quoted..word.end);
                }
            }
        }
        earlier.push(here);
        at = word.end;
        // One that nobody wrote by hand is not read to its end again and again.
        if earlier.len() > WORDS {
            return;
        }
    }
}

/// The most words of one command that are looked at.
const WORDS: usize = 64;

/// The next word of a command line without the quotes around it; `None` where the command ends.
fn word_at(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = skip(bytes, from, |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\''));
    let start = at;
    let quote = (start > from).then(|| bytes[start - 1]).filter(|byte| matches!(byte, b'"' | b'\''));
    let mut inner = None;
    while let Some(&byte) = bytes.get(at) {
        match (quote.or(inner), byte) {
            (Some(open), byte) if byte == open => break,
            (_, b'\n') => break,
            (None, b' ' | b'\t' | b'|' | b';' | b'&' | b'"' | b'\'') => {
                if matches!(byte, b'"' | b'\'') && at > start {
                    inner = Some(byte);
                } else {
                    break;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (at > start).then_some(start..at)
}

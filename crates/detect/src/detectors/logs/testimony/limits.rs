//! What there is only so much of.

use super::{Line, Testimony};

/// What a line says is used up.
pub(super) fn of(line: &Line) -> Option<Testimony> {
    if line.any(&["inotify", "fs.watch", "filewatcher", "file watchers"])
        && line.any(&["too many open files", "emfile", "no space left on device", "enospc", "limit", "reached"])
    {
        return Some(Testimony::Watches);
    }
    if line.any(&["too many open files", "emfile:", " emfile", "'emfile'", "(emfile)", "file table overflow"]) {
        return Some(Testimony::Files);
    }
    let threads = [
        "unable to create native thread",
        "unable to create new native thread",
        "can't start new thread",
        "pthread_create failed",
        "failed to create new os thread",
        "failed to spawn thread",
        "fork: retry: resource temporarily unavailable",
        "fork: resource temporarily unavailable",
        "cannot fork",
        "can't fork",
        "unable to fork",
        "newosproc",
    ];
    // A socket that has nothing to read says the same.
    let starts = line.any(&["pthread_create", "fork"]) || line.has("thread") && line.any(&["creat", "start", "spawn"]);
    if line.any(&threads) || starts && line.has("resource temporarily unavailable") {
        return Some(Testimony::Threads);
    }
    if line.any(&["exec format error", "cannot execute binary file"]) {
        return Some(Testimony::ExecFormat);
    }
    let full = [
        ("sorry, too many clients already", "PostgreSQL"),
        ("remaining connection slots are reserved", "PostgreSQL"),
        ("too many connections for role", "PostgreSQL"),
        ("too many connections for database", "PostgreSQL"),
        ("no more connections allowed (max_client_conn)", "PgBouncer"),
        ("too many connections", "MySQL"),
        ("max_user_connections", "MySQL"),
        ("max number of clients reached", "Redis"),
        ("connection refused because too many open connections", "MongoDB"),
        ("connection_limit", "RabbitMQ"),
        ("maximum connections exceeded", "NATS"),
    ];
    full.iter().find(|(words, _)| line.has(words)).map(|(words, whose)| {
        // Others use MySQL's words as well.
        let whose =
            if *words == "too many connections" && !line.any(&["mysql", "1040", "mariadb", "error 1040", "hy000"]) {
                "the server"
            } else {
                whose
            };
        Testimony::Full(whose)
    })
}

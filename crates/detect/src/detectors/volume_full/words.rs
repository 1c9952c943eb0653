//! How programs say that a disk is full, and where.

/// What the system calls it, and what databases make of it.
const FULL: [&str; 6] = [
    "no space left on device",
    "enospc",
    "disk quota exceeded",
    "database or disk is full",
    "not enough space on the disk",
    "there is not enough space on the device",
];

/// The same words, and another thing that there is none left of.
const OTHERS: [&str; 6] = ["inotify", "file watchers", "watch ", "semget", "shmget", "dev/shm"];

/// Whether a line says that a disk is full.
pub(super) fn is_full(line: &str) -> bool {
    let lower = line.to_lowercase();
    FULL.iter().any(|words| lower.contains(words)) && !OTHERS.iter().any(|words| lower.contains(words))
}

/// The absolute paths in a line.
pub(super) fn paths(line: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | '[' | ']' | '<' | '>' | ',' | ';' | '=')
    };
    line.split(ends).map(|word| word.trim_end_matches([':', '.'])).filter_map(|word| {
        // `open:/var/lib/x`, but not the path of an address.
        let at = word.find('/')?;
        let (before, path) = word.split_at_checked(at)?;
        let plain = before.is_empty() || (before.ends_with(':') && !path.starts_with("//"));
        (plain && path.len() > 1).then_some(path)
    })
}

/// Whether a path is this directory, or lies below it.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_things_that_run_out() {
        for full in [
            "write /var/lib/data/00012.wal: no space left on device",
            "PANIC:  could not write to file \"pg_wal/xlogtemp.29\": No space left on device",
            "Error: ENOSPC: no space left on device, write",
            "sqlite3.OperationalError: database or disk is full",
        ] {
            assert!(is_full(full), "{full}");
        }
        for other in [
            "Error: ENOSPC: System limit for number of file watchers reached, watch '/app'",
            "inotify_add_watch: no space left on device",
            "all is well",
            "",
        ] {
            assert!(!is_full(other), "{other}");
        }
    }

    #[test]
    fn paths_are_found_whatever_stands_around_them() {
        let all = |line: &'static str| paths(line).collect::<Vec<_>>();
        assert_eq!(all("write /var/lib/a.wal: no space left"), ["/var/lib/a.wal"]);
        assert_eq!(all("open \"/data/x y\" (/b), path=/c."), ["/data/x", "/b", "/c"]);
        assert_eq!(all("error:/data/x"), ["/data/x"]);
        assert_eq!(all("https://a.example/b pg_wal/x / a"), Vec::<&str>::new());
        assert!(is_below("/data/x", "/data") && is_below("/data", "/data/") && is_below("/x", "/"));
        assert!(!is_below("/database/x", "/data"));
    }
}

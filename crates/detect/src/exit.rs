//! What exit codes mean.

use crate::catalogue::Page;

/// The signals of Linux (x86-64 and arm64 agree on these), with what they say of a container's end. The named ones of a
/// program's own use, and those that end nothing by default, say no more than their name.
const SIGNALS: [(i64, &str, &str); 31] = [
    (1, "SIGHUP", "its terminal went away"),
    (2, "SIGINT", "it was interrupted"),
    (3, "SIGQUIT", "it was told to end with a dump"),
    (4, "SIGILL", "an instruction this processor does not have"),
    (5, "SIGTRAP", "a trap of a debugger, or a failed check of the program's own"),
    (6, "SIGABRT", "the program aborted itself"),
    (7, "SIGBUS", "memory that is mapped and not there, often a hugepage limit or a truncated file"),
    (8, "SIGFPE", "an arithmetic fault"),
    (9, "SIGKILL", "it was killed, and the code does not say by whom"),
    (10, "SIGUSR1", "a signal it has no handler for"),
    (11, "SIGSEGV", "an invalid memory access, or abort() as process 1"),
    (12, "SIGUSR2", "a signal it has no handler for"),
    (13, "SIGPIPE", "nobody read what it wrote"),
    (14, "SIGALRM", "a timer of its own ran out"),
    (15, "SIGTERM", "it was asked to end"),
    (16, "SIGSTKFLT", "a fault of a coprocessor's stack"),
    (17, "SIGCHLD", "a child of its ended"),
    (18, "SIGCONT", "it was told to go on"),
    (19, "SIGSTOP", "it was stopped"),
    (20, "SIGTSTP", "it was stopped from a terminal"),
    (21, "SIGTTIN", "it read from a terminal in the background"),
    (22, "SIGTTOU", "it wrote to a terminal in the background"),
    (23, "SIGURG", "urgent data came"),
    (24, "SIGXCPU", "its limit of processor time was reached"),
    (25, "SIGXFSZ", "its limit of file size was reached"),
    (26, "SIGVTALRM", "a timer of its own ran out"),
    (27, "SIGPROF", "a timer of its own ran out"),
    (28, "SIGWINCH", "its window changed"),
    (29, "SIGIO", "input came"),
    (30, "SIGPWR", "power fails"),
    (31, "SIGSYS", "a system call that does not exist or is forbidden, mostly by a seccomp profile"),
];

/// The pages, each under `# Exit code N`.
const PAGES: &str = include_str!("exit.md");

/// The meaning of an exit code in a few words; `None` where only the program knows. 128 is the runtime's code for a
/// container that never ran, with reason `StartError`, and that of git for nearly everything.
pub fn meaning(code: i64) -> Option<String> {
    let fixed = match code {
        0 => "it ended by itself and called that success",
        2 => "wrong usage, a shell's syntax error, or a Go panic",
        126 => "the command is not executable",
        127 => "the command or a library was not found",
        255 => "the program returned -1, or its status was lost",
        _ => {
            let (_, name, what) = SIGNALS.iter().find(|(number, _, _)| number + 128 == code)?;
            return Some(format!("{name}: {what}"));
        }
    };
    Some(fixed.to_owned())
}

/// The page about an exit code.
pub(crate) fn page(code: i64) -> Option<Page> {
    if !(0..=255).contains(&code) {
        return None;
    }
    let title = format!("Exit code {code}");
    if let Some(body) = written(code) {
        return Some(Page { title, body });
    }
    let body = match (code, meaning(code)) {
        (129.., Some(meaning)) => format!(
            "{code} is 128 + {}: {meaning}.\n\nThe program was ended by a signal, or is a shell that passes on its child's end: \
             `sh -c` returns 128 + N when its child was ended by signal N.\n",
            code - 128
        ),
        _ => "A code of the program's own: its log or its manual says what it means.\n\n\
              ```sh\nkubectl logs POD -n NAMESPACE -c CONTAINER --previous --tail=50\n```\n"
            .to_owned(),
    };
    Some(Page { title, body })
}

fn written(code: i64) -> Option<String> {
    let pages = PAGES.split("# Exit code ").filter_map(|page| page.split_once('\n'));
    let (_, body) = pages.into_iter().find(|(head, _)| head.trim().parse() == Ok(code))?;
    Some(format!("{}\n", body.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_and_unknown_codes_are_left_to_the_program() {
        assert!(meaning(139).unwrap().starts_with("SIGSEGV"));
        assert_eq!(meaning(159).unwrap().split(':').next(), Some("SIGSYS"));
        assert_eq!(meaning(128), None);
        assert_eq!(meaning(3), None);
        assert_eq!(meaning(160), None);
    }

    #[test]
    fn every_code_has_a_page_and_no_other_number() {
        for code in 0..=255 {
            let page = page(code).unwrap();
            assert_eq!(page.title, format!("Exit code {code}"));
            assert!(page.body.len() > 40 && page.body.ends_with('\n'), "{code}");
        }
        assert!(page(256).is_none() && page(-1).is_none());
    }

    #[test]
    fn every_written_page_is_found() {
        let written = PAGES.lines().filter(|line| line.starts_with("# Exit code ")).count();
        assert_eq!((0..=255).filter(|code| super::written(*code).is_some()).count(), written);
    }

    #[test]
    fn the_page_of_137_says_that_it_is_not_memory_alone_and_that_the_highest_score_dies() {
        let body = page(137).unwrap().body;
        for words in ["OOMKilled", "liveness", "ContainerStatusUnknown", "**highest**", "lastState", "The kernel does"]
        {
            assert!(body.contains(words), "{words}");
        }
    }

    #[test]
    fn signals_stand_in_order() {
        assert!(SIGNALS.iter().zip(1..).all(|((number, _, _), expected)| *number == expected));
    }
}

//! What exit codes mean.

use crate::catalogue::Page;

/// The signals that end containers, by number on Linux (x86-64 and arm64 agree on these).
const SIGNALS: [(i64, &str, &str); 10] = [
    (1, "SIGHUP", "its terminal went away"),
    (2, "SIGINT", "it was interrupted"),
    (4, "SIGILL", "an instruction this processor does not have"),
    (6, "SIGABRT", "the program aborted itself"),
    (7, "SIGBUS", "memory that is mapped and not there, often a hugepage limit or a truncated file"),
    (8, "SIGFPE", "an arithmetic fault"),
    (9, "SIGKILL", "it was killed, and the code does not say by whom"),
    (11, "SIGSEGV", "an invalid memory access, or abort() as process 1"),
    (13, "SIGPIPE", "nobody read what it wrote"),
    (15, "SIGTERM", "it was asked to end"),
];

/// The meaning of an exit code in a few words; `None` where only the program knows.
pub fn meaning(code: i64) -> Option<String> {
    let fixed = match code {
        0 => "it ended by itself and called that success",
        2 => "wrong usage, a shell's syntax error, or a Go panic",
        126 => "the command is not executable",
        127 => "the command or a library was not found",
        128 => "the container never ran",
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
    let meaning = match code {
        1 => "the program failed; its log says why".to_owned(),
        code => meaning(code).unwrap_or_else(|| "a code of the program's own; its log or manual says why".to_owned()),
    };
    let more = match code {
        137 => concat!(
            "137 is 128 + 9: the process was ended by SIGKILL. The code does not say who sent it.\n\n",
            "- `reason: OOMKilled` with 137: the kernel killed it for memory. `reckon explain oom-killed`.\n",
            "- An event *Container failed liveness probe, will be restarted*: the kubelet killed it. `reckon explain liveness-kills-busy`.\n",
            "- The pod is being deleted and the grace period passed: the program did not end on SIGTERM.\n",
            "- `reason: ContainerStatusUnknown`: nothing was killed; the kubelet lost the container and wrote 137 itself.\n",
            "- None of these: something inside the container or on the node sent the signal, or a shell passed on its child's end.\n\n",
            "When memory runs out the kernel kills the process with the *highest* score, which is memory use shifted by the pod's class;\n",
            "a larger pod of a better class may die before a small one without any request. Kubernetes does not kill at a limit, the kernel\n",
            "does, and the kubelet learns of it afterwards.\n"
        ),
        139 => {
            "139 is 128 + 11. A program that calls abort() as process 1 of its container shows 139 as well, and not 134: process 1 ignores its own SIGABRT.\n"
        }
        143 => {
            "143 is 128 + 15: SIGTERM, sent at deletion, on a roll-out, or before a probe's kill. A program that ends on it is well behaved.\n"
        }
        _ => {
            "Codes above 128 are 128 plus a signal. A shell passes on its child's: `sh -c` returns 137 when its child was killed.\n"
        }
    };
    Some(Page { title: format!("Exit code {code}"), body: format!("{meaning}\n\n{more}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_and_unknown_codes_are_left_to_the_program() {
        assert!(meaning(139).unwrap().starts_with("SIGSEGV"));
        assert_eq!(meaning(3), None);
        assert!(page(137).unwrap().body.contains("OOMKilled"));
        assert!(page(256).is_none());
    }
}

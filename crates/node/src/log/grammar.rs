//! One message of an out-of-memory report.
//!
//! From `mm/oom_kill.c` and `mm/memcontrol.c` of Linux 4.19 to 7.2. Names of processes may hold every byte but NUL, so
//! what follows a name is searched from the right.

use super::line::number;
use memchr::memmem::{self, Finder};
use std::sync::LazyLock;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// `java invoked oom-killer: gfp_mask=…, order=0, oom_score_adj=938`
    Invoked { comm: &'a [u8], order: Option<i32> },
    /// `memory: usage 65536kB, limit 65536kB, failcnt 23`
    Usage { usage: u64, limit: u64 },
    /// `swap: usage 0kB, limit …` (version 2)
    Swap { usage: u64 },
    /// `memory+swap: usage 0kB, limit …` (version 1)
    MemoryAndSwap { usage: u64 },
    /// `kmem: usage 0kB, limit …` (version 1)
    Kmem { usage: u64 },
    /// `Memory cgroup stats for PATH:`, before 5.0 with the pairs on the same line.
    Stats { path: &'a [u8], pairs: &'a [u8] },
    /// `anon 66916352`
    Stat { key: &'a [u8], bytes: u64 },
    /// `Tasks state (memory values in pages):`, `[  pid  ] …`: statistics are over.
    Tasks,
    /// `oom-kill:constraint=…`
    OomKill(OomKill<'a>),
    /// `Task in PATH killed as a result of limit of PATH` (before 5.0)
    Legacy { task_memcg: &'a [u8], oom_memcg: &'a [u8] },
    /// `Memory cgroup out of memory: Killed process 105 (java) total-vm:…`
    Killed(Killed<'a>),
    /// `Tasks in PATH are going to be killed due to memory.oom.group set`
    Group { path: &'a [u8] },
    /// `Out of memory and no killable processes...`
    NoVictim,
    /// `oom_kill_process: 7 callbacks suppressed`
    Suppressed(u64),
    /// Nothing of a report.
    Other,
}

/// The line that sums a report up, since 5.0.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OomKill<'a> {
    pub(super) constraint: &'a [u8],
    pub(super) cpuset: &'a [u8],
    pub(super) global: bool,
    pub(super) oom_memcg: Option<&'a [u8]>,
    pub(super) task_memcg: Option<&'a [u8]>,
    pub(super) comm: &'a [u8],
    pub(super) pid: Option<u32>,
}

/// A process that was killed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Killed<'a> {
    /// Whether it was for a cgroup's limit; `None` where the line does not say.
    pub(super) memcg: Option<bool>,
    pub(super) pid: u32,
    pub(super) comm: &'a [u8],
    pub(super) anon: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) shmem: Option<u64>,
    pub(super) oom_score_adj: Option<i32>,
}

/// The longest name of a process: `TASK_COMM_LEN` less its NUL.
const COMM: usize = 15;

/// What a line of a report holds that may be the first of it: `invoked oom-killer`, `oom-kill:`, `oom_kill_process`,
/// `oom.group`; kills without those; reports before 5.0.
static MARKS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    [Finder::new("oom"), Finder::new("illed process "), Finder::new("ut of memory"), Finder::new("fork rejected by ")]
});

/// Whether a line may be of a report at all. Of most logs this is all that is done.
pub(super) fn may_matter(line: &[u8]) -> bool {
    MARKS.iter().any(|mark| mark.find(line).is_some())
}

/// Reads a message. `in_stats`: statistics of a cgroup have begun, of which a message is one line.
pub(super) fn read(text: &[u8], in_stats: bool) -> Said<'_> {
    let first = text.first().copied().unwrap_or(0);
    if first == b'o'
        && let Some(rest) = text.strip_prefix(b"oom-kill:")
    {
        return Said::OomKill(oom_kill(rest));
    }
    if let Some(killed) = killed(text) {
        return Said::Killed(killed);
    }
    if let Some(at) = memmem::rfind(text, b" invoked oom-killer: ") {
        return invoked(&text[..at], &text[at..]);
    }
    let said = match first {
        b'm' => text
            .strip_prefix(b"memory: usage ")
            .and_then(|rest| Some(Said::Usage { usage: kib(rest)?, limit: kib(after(rest, b"limit ")?)? }))
            .or_else(|| Some(Said::MemoryAndSwap { usage: kib(text.strip_prefix(b"memory+swap: usage ")?)? })),
        b's' => text.strip_prefix(b"swap: usage ").and_then(kib).map(|usage| Said::Swap { usage }),
        b'k' => text.strip_prefix(b"kmem: usage ").and_then(kib).map(|usage| Said::Kmem { usage }),
        b'M' => text.strip_prefix(b"Memory cgroup stats for ").map(stats),
        b'T' => tasks(text),
        b'[' => memmem::find(text, b"pid").map(|_| Said::Tasks),
        b'O' => text.starts_with(b"Out of memory and no killable processes").then_some(Said::NoVictim),
        _ => None,
    };
    said.or_else(|| suppressed(text)).or_else(|| stat(text).filter(|_| in_stats)).unwrap_or(Said::Other)
}

/// `cgroup: fork rejected by pids controller in PATH`: the path, to the end of the line. No process chooses these words.
pub(super) fn fork(text: &[u8]) -> Option<&[u8]> {
    let path = text.strip_prefix(b"cgroup: fork rejected by pids controller in ")?;
    path.starts_with(b"/").then(|| path.trim_ascii_end())
}

fn invoked<'a>(comm: &'a [u8], rest: &[u8]) -> Said<'a> {
    let order = after(rest, b"order=").and_then(signed);
    // Before 4.10 a name was followed by nothing else; a longer one is not of a process.
    Said::Invoked { comm: &comm[comm.len().saturating_sub(COMM)..], order }
}

fn tasks(text: &[u8]) -> Option<Said<'_>> {
    if text.starts_with(b"Tasks state") {
        return Some(Said::Tasks);
    }
    if let Some(rest) = text.strip_prefix(b"Tasks in ") {
        let end = memmem::rfind(rest, b" are going to be killed due to memory.oom.group set")?;
        return Some(Said::Group { path: &rest[..end] });
    }
    let rest = text.strip_prefix(b"Task in ")?;
    let middle = memmem::find(rest, b" killed as a result of limit of ")?;
    let limit = &rest[middle + b" killed as a result of limit of ".len()..];
    Some(Said::Legacy { task_memcg: &rest[..middle], oom_memcg: limit.trim_ascii_end() })
}

fn stats(rest: &[u8]) -> Said<'_> {
    // A colon in a path is no colon at its end: pairs follow it, or nothing.
    let end = memmem::find(rest, b": cache:").or_else(|| memmem::rfind(rest, b":")).unwrap_or(rest.len());
    Said::Stats { path: &rest[..end], pairs: rest.get(end + 1..).unwrap_or_default().trim_ascii() }
}

fn stat(text: &[u8]) -> Option<Said<'_>> {
    let space = memchr::memchr(b' ', text)?;
    let key = &text[..space];
    let is_key = key.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9'));
    is_key.then_some(Said::Stat { key, bytes: number(text[space + 1..].trim_ascii())? })
}

fn suppressed(text: &[u8]) -> Option<Said<'_>> {
    let rest = text.strip_prefix(b"oom_kill_process: ")?;
    Some(Said::Suppressed(number(rest.strip_suffix(b" callbacks suppressed")?)?))
}

fn oom_kill(rest: &[u8]) -> OomKill<'_> {
    let mut kill = OomKill::default();
    // From the right: the user, the process, its name. A line that was cut lacks them.
    let mut head = rest;
    if let Some(at) = memmem::rfind(rest, b",pid=") {
        let digits = rest[at + b",pid=".len()..].split(|byte| *byte == b',').next().unwrap_or_default();
        kill.pid = number(digits).and_then(|pid| u32::try_from(pid).ok());
        // The name may hold `,task=` itself: its own stands first of those that are near enough.
        let from = at.saturating_sub(COMM + b",task=".len());
        if let Some(task) = memmem::find(&rest[from..at], b",task=") {
            kill.comm = &rest[from + task + b",task=".len()..at];
            head = &rest[..from + task];
        }
    } else if let Some(task) = memmem::rfind(rest, b",task=") {
        head = &rest[..task];
    }
    if let Some(at) = memmem::find(head, b",task_memcg=") {
        kill.task_memcg = Some(&head[at + b",task_memcg=".len()..]);
        head = &head[..at];
    }
    if let Some(at) = memmem::find(head, b",oom_memcg=") {
        kill.oom_memcg = Some(&head[at + b",oom_memcg=".len()..]);
        head = &head[..at];
    } else if let Some(before) = head.strip_suffix(b",global_oom") {
        kill.global = true;
        head = before;
    }
    kill.constraint = head.strip_prefix(b"constraint=").map_or(&[], |rest| until(rest, b','));
    if let Some(at) = memmem::find(head, b",cpuset=") {
        let rest = &head[at + b",cpuset=".len()..];
        kill.cpuset = &rest[..memmem::rfind(rest, b",mems_allowed=").unwrap_or(rest.len())];
    }
    kill
}

fn killed(text: &[u8]) -> Option<Killed<'_>> {
    const WORD: &[u8] = b"Killed process ";
    let (memcg, rest) = if let Some(rest) = text.strip_prefix(WORD) {
        (None, rest)
    } else if let Some(rest) = text.strip_prefix(b"Memory cgroup out of memory: Killed process ") {
        (Some(true), rest)
    } else if let Some(rest) = text.strip_prefix(b"Out of memory: Killed process ") {
        (Some(false), rest)
    } else {
        // `Out of memory (oom_kill_allocating_task): Killed process …`
        let rest = text.strip_prefix(b"Out of memory (")?;
        (Some(false), &rest[memmem::find(&rest[..rest.len().min(64)], WORD)? + WORD.len()..])
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let pid = u32::try_from(number(&rest[..digits])?).ok()?;
    let rest = &rest[digits..];
    let open = memchr::memchr(b'(', &rest[..rest.len().min(32)])?;
    let rest = &rest[open + 1..];
    // `(java) total-vm:…` since 3.0, `(java), UID 0, total-vm:…` in some; a line that was cut may end within the name.
    let end = memmem::rfind(rest, b") total-vm:").or_else(|| memmem::rfind(rest, b"), UID ")).or_else(|| {
        let whole = rest.strip_suffix(b")")?;
        Some(whole.len())
    });
    let comm = &rest[..end.unwrap_or(rest.len()).min(COMM)];
    let sizes = &rest[end.unwrap_or(rest.len())..];
    let size = |key: &[u8]| after(sizes, key).and_then(kib);
    Some(Killed {
        memcg,
        pid,
        comm,
        anon: size(b"anon-rss:"),
        file: size(b"file-rss:"),
        shmem: size(b"shmem-rss:"),
        oom_score_adj: after(sizes, b"oom_score_adj:").and_then(signed),
    })
}

/// What follows a key, up to the end.
fn after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    memmem::find(text, key).map(|at| &text[at + key.len()..])
}

fn until(text: &[u8], byte: u8) -> &[u8] {
    &text[..memchr::memchr(byte, text).unwrap_or(text.len())]
}

/// `65536kB` at the beginning.
fn kib(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text[digits..].starts_with(b"kB").then(|| number(&text[..digits]))?
}

/// A number at the beginning, with a sign perhaps.
fn signed(text: &[u8]) -> Option<i32> {
    let (negative, rest) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = i32::try_from(number(&rest[..digits])?).ok()?;
    Some(if negative { -number } else { number })
}

/// The pairs of a line before 5.0: `cache:0KB rss:36KB …`, in KiB.
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    line.split(|byte| *byte == b' ').filter_map(|pair| {
        let colon = memchr::memchr(b':', pair)?;
        Some((&pair[..colon], number(pair[colon + 1..].strip_suffix(b"KB")?)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oom(line: &[u8]) -> OomKill<'_> {
        match read(line, false) {
            Said::OomKill(kill) => kill,
            other => panic!("{other:?}"),
        }
    }

    fn kill(line: &[u8]) -> Killed<'_> {
        match read(line, false) {
            Said::Killed(killed) => killed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_with_the_grammars_own_words_in_them_are_read_from_the_right() {
        let line = b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,b,mems_allowed=0-1,oom_memcg=/kubepods/p,x,task_memcg=/kubepods/p,x/c,task=a,task=b,pid=9,pid=1995,uid=0";
        let kill = oom(line);
        assert_eq!((kill.comm, kill.pid), (&b"a,task=b,pid=9"[..], Some(1995)));
        assert_eq!((kill.oom_memcg, kill.task_memcg), (Some(&b"/kubepods/p,x"[..]), Some(&b"/kubepods/p,x/c"[..])));
        assert_eq!((kill.constraint, kill.cpuset, kill.global), (&b"CONSTRAINT_MEMCG"[..], &b"a,b"[..], false));
        let killed = self::kill(b"Memory cgroup out of memory: Killed process 294 (a) total-vm:1) total-vm:33844kB, anon-rss:32412kB, file-rss:4kB, shmem-rss:700kB, UID:0 pgtables:100kB oom_score_adj:-997");
        assert_eq!((killed.comm, killed.pid, killed.memcg), (&b"a) total-vm:1"[..], 294, Some(true)));
        assert_eq!(
            (killed.anon, killed.file, killed.shmem, killed.oom_score_adj),
            (Some(32412), Some(4), Some(700), Some(-997))
        );
    }

    #[test]
    fn a_node_without_memory_is_told_from_a_limit() {
        let kill = oom(b"oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=n,mems_allowed=1,global_oom,task_memcg=/t,task=numapp,pid=7,uid=0");
        assert_eq!((kill.global, kill.oom_memcg, kill.task_memcg), (true, None, Some(&b"/t"[..])));
        assert_eq!(self::kill(b"Out of memory: Killed process 7 (x) total-vm:1kB").memcg, Some(false));
        assert_eq!(
            self::kill(b"Out of memory (oom_kill_allocating_task): Killed process 7 (x) total-vm:1kB").memcg,
            Some(false)
        );
        assert_eq!(self::kill(b"Killed process 7 (x), UID 100, total-vm:1kB").comm, b"x");
    }

    #[test]
    fn lines_that_were_cut_give_what_is_left_of_them() {
        assert_eq!(kill(b"Memory cgroup out of memory: Killed process 307 (tab\tnl").comm, b"tab\tnl");
        let cut = oom(b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,oom_memcg=/kube");
        assert_eq!((cut.oom_memcg, cut.pid, cut.comm), (Some(&b"/kube"[..]), None, &b""[..]));
        for line in [
            "oom-kill:",
            "Killed process ",
            "Killed process 1",
            "memory: usage ",
            "memory: usage 1kB",
            "Tasks in ",
            "Task in x",
        ] {
            let _ = read(line.as_bytes(), true);
        }
    }

    #[test]
    fn kernels_before_5_0_are_read() {
        let said = read(b"Task in /kubepods/a/b killed as a result of limit of /kubepods/a", false);
        assert_eq!(said, Said::Legacy { task_memcg: b"/kubepods/a/b", oom_memcg: b"/kubepods/a" });
        let said = read(b"Memory cgroup stats for /kubepods/a: cache:0KB rss:36KB shmem:4KB", false);
        let Said::Stats { path, pairs: line } = said else { panic!("{said:?}") };
        assert_eq!(path, b"/kubepods/a");
        assert_eq!(pairs(line).collect::<Vec<_>>(), [(&b"cache"[..], 0), (b"rss", 36), (b"shmem", 4)]);
    }

    #[test]
    fn the_small_lines_of_a_report_are_read() {
        assert_eq!(
            read(b"memory: usage 98304kB, limit 65536kB, failcnt 31", false),
            Said::Usage { usage: 98304, limit: 65536 }
        );
        assert_eq!(read(b"memory+swap: usage 7kB, limit 9kB, failcnt 0", false), Said::MemoryAndSwap { usage: 7 });
        assert_eq!(read(b"swap: usage 5kB, limit 9kB, failcnt 0", false), Said::Swap { usage: 5 });
        assert_eq!(read(b"anon 66916352", true), Said::Stat { key: b"anon", bytes: 66_916_352 });
        assert_eq!(read(b"anon 66916352", false), Said::Other);
        assert_eq!(read(b"oom_kill_process: 7 callbacks suppressed", false), Said::Suppressed(7));
        assert_eq!(read(b"Out of memory and no killable processes...", false), Said::NoVictim);
        assert_eq!(
            read(b"x invoked oom-killer: gfp_mask=0x0(), order=-1, oom_score_adj=0", false),
            Said::Invoked { comm: b"x", order: Some(-1) }
        );
        assert_eq!(read(b"[  pid  ]   uid  tgid total_vm      rss", true), Said::Tasks);
        assert_eq!(read(b"usb 1-1: new device", true), Said::Other);
    }
}

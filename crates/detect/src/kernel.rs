//! What a node's kernel tells, in words.

use reckon_model::kernel::{MemoryKind, OomEpisode, OomScope, Victim};
use reckon_model::quantity;
use reckon_model::text::{clean_line, count};

/// The order of a report that a person asked for (SysRq-f).
pub(crate) const MANUAL: i32 = -1;

/// A kind of memory, as one names it.
pub(crate) fn kind(kind: MemoryKind) -> &'static str {
    match kind {
        MemoryKind::Anon => "anonymous memory of processes",
        MemoryKind::Shmem => "files in memory (tmpfs, shared memory)",
        MemoryKind::Slab => "objects of the kernel (inodes, dentries)",
        MemoryKind::Kernel => "the kernel's own memory (pipes, page tables)",
        MemoryKind::Sock => "buffers of sockets",
        MemoryKind::File => "pages of files",
    }
}

/// What a victim held in memory, in KiB.
pub(crate) fn resident(victim: &Victim) -> u64 {
    [victim.anon_kib, victim.file_kib, victim.shmem_kib].into_iter().flatten().fold(0, u64::saturating_add)
}

/// An episode in a line.
pub fn episode(episode: &OomEpisode) -> String {
    let kib = |kib: u64| quantity::bytes(kib.saturating_mul(1024));
    let mut text = match episode.victims.as_slice() {
        [] => "the kernel found nothing that it may kill".to_owned(),
        [one] => {
            let size = resident(one);
            let size = if size > 0 { format!(" with {} resident", kib(size)) } else { String::new() };
            format!("killed {} (pid {}){size}", clean_line(&one.comm), one.pid)
        }
        [first, rest @ ..] => {
            let others = if rest.len() == 1 {
                "one other process".to_owned()
            } else {
                format!("{} other processes", rest.len())
            };
            format!("killed {} (pid {}) and {others}", clean_line(&first.comm), first.pid)
        }
    };
    if let Some(invoker) =
        episode.invoker.as_deref().filter(|invoker| episode.victims.first().is_none_or(|v| v.comm != **invoker))
    {
        text.push_str(&format!(", when {} asked for memory", clean_line(invoker)));
    }
    match (episode.usage_kib, episode.limit_kib) {
        (Some(usage), Some(limit)) => text.push_str(&format!(": {} in use of {}", kib(usage), kib(limit))),
        _ if episode.order == Some(MANUAL) => text.push_str(": asked for by SysRq-f"),
        _ if episode.scope == Some(OomScope::Global) => text.push_str(": no free memory"),
        _ => {}
    }
    if let Some(kind) = episode.kind {
        text.push_str(&format!(", most of it {}", self::kind(kind)));
    }
    if episode.suppressed > 0 {
        text.push_str(&format!("; {} swallowed by the kernel's rate limit", count_reports(episode.suppressed)));
    }
    text
}

fn count_reports(reports: u64) -> String {
    count(usize::try_from(reports).unwrap_or(usize::MAX), "report")
}

//! The files of a memory cgroup, of both versions.
//!
//! Pure functions over what a file holds. What is no number is left out: a kernel may add keys, and a file of a cgroup that
//! goes away may end anywhere.

use reckon_model::kernel::{MemoryBreakdown, MemoryEvents, Throttling};

/// The pairs of a flat file: `key 123` a line.
fn pairs(file: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    file.split(|byte| *byte == b'\n').filter_map(|line| {
        let space = memchr::memchr(b' ', line)?;
        Some((&line[..space], number(&line[space + 1..])?))
    })
}

/// A decimal number with nothing but white space around it.
fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A file of one number; `max` is none.
pub(super) fn amount(file: &[u8]) -> Option<u64> {
    number(file)
}

/// What version 1 says where there is no limit: the largest count of pages, whatever a page is; nothing real is near.
const NO_LIMIT: u64 = 1 << 62;

/// A limit; `None` where there is none.
pub(super) fn limit(file: &[u8]) -> Option<u64> {
    number(file).filter(|limit| *limit < NO_LIMIT)
}

/// `memory.events`, `memory.events.local` (version 2) and `memory.oom_control` (version 1).
pub(super) fn events(file: &[u8]) -> MemoryEvents {
    let mut events = MemoryEvents::default();
    for (key, count) in pairs(file) {
        match key {
            b"high" => events.high = count,
            b"max" => events.max = count,
            b"oom" => events.oom = count,
            b"oom_kill" => events.oom_kill = count,
            b"oom_group_kill" => events.oom_group_kill = count,
            _ => {}
        }
    }
    events
}

/// What `memory.stat` says: the parts, and the pages of files that were not touched lately.
pub(super) fn stat(file: &[u8], version: Version) -> (MemoryBreakdown, u64) {
    let mut parts = MemoryBreakdown::default();
    let mut inactive_file = 0;
    for (key, bytes) in pairs(file) {
        match (version, key) {
            (Version::Two, b"anon") | (Version::One, b"total_rss") => parts.anon = bytes,
            (Version::Two, b"file") | (Version::One, b"total_cache") => parts.file = bytes,
            (Version::Two, b"shmem") | (Version::One, b"total_shmem") => parts.shmem = bytes,
            (Version::Two, b"slab_unreclaimable") => parts.slab_unreclaimable = bytes,
            (Version::Two, b"slab_reclaimable") => parts.slab_reclaimable = bytes,
            (Version::Two, b"kernel") => parts.kernel = bytes,
            (Version::Two, b"sock") => parts.sock = bytes,
            (Version::Two, b"inactive_file") | (Version::One, b"total_inactive_file") => inactive_file = bytes,
            _ => {}
        }
    }
    // Both versions count shared memory among the pages of files.
    parts.file = parts.file.saturating_sub(parts.shmem);
    (parts, inactive_file)
}

/// The share of the last ten seconds in which some, and in which all, waited, in hundredths of a percent.
pub(super) fn pressure(file: &[u8]) -> Option<(u32, u32)> {
    let text = str::from_utf8(file).ok()?;
    let of = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(word))?;
        let share = line.split_whitespace().find_map(|item| item.strip_prefix("avg10="))?;
        let (whole, hundredths) = share.split_once('.')?;
        let hundredths = hundredths.get(..2)?;
        whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths.parse().ok()?)
    };
    Some((of("some")?, of("full")?))
}

/// Periods of processor time, and those that were cut short; `None` where there is no such limit to count by.
pub(super) fn periods(file: &[u8]) -> Option<Throttling> {
    let count = |name: &[u8]| pairs(file).find(|(key, _)| *key == name).map(|(_, count)| count);
    Some(Throttling { periods: count(b"nr_periods")?, throttled: count(b"nr_throttled")? })
}

/// Kills since boot, of `/proc/vmstat`; `None` before Linux 4.13.
pub(super) fn kills_since_boot(file: &[u8]) -> Option<u64> {
    pairs(file).find(|(key, _)| *key == b"oom_kill").map(|(_, count)| count)
}

/// Which hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `/sys/fs/cgroup/memory`.
    One,
    /// `/sys/fs/cgroup`.
    Two,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_of_both_versions_are_read() {
        let two = events(b"low 0\nhigh 3\nmax 31\noom 2\noom_kill 4\noom_group_kill 1\n");
        assert_eq!(two, MemoryEvents { high: 3, max: 31, oom: 2, oom_kill: 4, oom_group_kill: 1 });
        assert_eq!(events(b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n").oom_kill, 7);
        assert_eq!(events(b""), MemoryEvents::default());
    }

    #[test]
    fn shared_memory_is_told_apart_from_pages_of_files() {
        let (two, inactive) = stat(
            b"anon 10\nfile 100\nkernel 7\nshmem 60\nsock 3\ninactive_file 30\nslab_unreclaimable 2\n",
            Version::Two,
        );
        assert_eq!((two.anon, two.file, two.shmem, two.kernel, two.sock, inactive), (10, 40, 60, 7, 3, 30));
        let (one, inactive) = stat(
            b"cache 1\nrss 2\ntotal_cache 100\ntotal_rss 10\ntotal_shmem 60\ntotal_inactive_file 30\n",
            Version::One,
        );
        assert_eq!((one.anon, one.file, one.shmem, inactive), (10, 40, 60, 30));
    }

    #[test]
    fn no_limit_is_none_in_both_versions() {
        assert_eq!(limit(b"max\n"), None);
        assert_eq!(limit(b"9223372036854771712\n"), None);
        assert_eq!(limit(b"67108864\n"), Some(67_108_864));
    }

    #[test]
    fn pressure_is_told_in_hundredths_of_a_percent() {
        let file = b"some avg10=12.34 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.05 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(pressure(file), Some((1234, 5)));
        assert_eq!(pressure(b"some avg10=12"), None);
    }

    #[test]
    fn kills_since_boot_are_found_among_all_that_vmstat_says() {
        assert_eq!(kills_since_boot(b"nr_free_pages 1\noom_kill 176\nunevictable_pgs 0\n"), Some(176));
        assert_eq!(kills_since_boot(b"nr_free_pages 1\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_is_read_without_a_panic(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (events(&file), pressure(&file), limit(&file), amount(&file), kills_since_boot(&file));
            let _ = (stat(&file, Version::One), stat(&file, Version::Two));
        }
    }
}

//! The cgroups of pods and containers, and how their counters rise.

use super::files::read;
use super::read::{self as file, Version};
use super::scope::{self, Around};
use crate::path::{Place, place};
use crate::uses::Held;
use jiff::Timestamp;
use reckon_model::kernel::{CgroupLevel, CgroupUse, MemoryBreakdown, MemoryEvents, Throttling};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where cgroups of pods are looked for: kind and nested kubelets put some directories above them.
const DEPTH_OF_KUBEPODS: usize = 5;

/// The most cgroups that are watched on a node: 110 pods make some 500, a kubelet takes at most a few hundred pods.
const WATCHED: usize = 20_000;

/// The memory hierarchy of a node.
pub struct Tree {
    root: PathBuf,
    vmstat: PathBuf,
    version: Version,
    /// What was counted at the last look, by path below the root.
    counted: BTreeMap<String, Counted>,
    /// Periods of processor time at the last reading, by path.
    periods: BTreeMap<String, Throttling>,
    /// Kills since boot at the last look.
    killed: Option<u64>,
    looked: bool,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// With all that is below it, where the version counts so.
    whole: MemoryEvents,
    /// Of the cgroup alone; version 2 only.
    own: MemoryEvents,
}

/// How many more processes were killed since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rise {
    /// The cgroup, below the root of the hierarchy: a container's; a pod's for kills in a container that is gone.
    pub path: String,
    /// The pod.
    pub pod_uid: Option<String>,
    /// The container; `None` where it is gone.
    pub container_id: Option<String>,
    /// Processes. What a group kill counts twice is counted once here.
    pub kills: u64,
    /// Whose limit it was.
    pub level: Option<CgroupLevel>,
    /// Whether no cgroup met its limit: the machine ran out.
    pub global: bool,
    /// Whether it may have been at any time before the first look.
    pub before: bool,
}

/// A cgroup that was found, with what stands around it.
struct Found {
    path: String,
    place: Place,
    /// A pod that counts as it did at the last look. What is in it was not looked for then.
    unchanged: bool,
}

impl Tree {
    /// Opens the hierarchy below `cgroup` (`/sys/fs/cgroup`), with `proc` (`/proc`) for the kernel's own count of kills.
    ///
    /// # Errors
    ///
    /// There is no memory controller, or it may not be read.
    pub fn open(cgroup: &Path, proc: &Path) -> io::Result<Tree> {
        let (root, version) = if cgroup.join("cgroup.controllers").exists() {
            (cgroup.to_owned(), Version::Two)
        } else {
            (cgroup.join("memory"), Version::One)
        };
        fs::read_dir(&root)?;
        let vmstat = proc.join("vmstat");
        Ok(Tree {
            root,
            vmstat,
            version,
            counted: BTreeMap::new(),
            periods: BTreeMap::new(),
            killed: None,
            looked: false,
            buffer: Vec::new(),
        })
    }

    /// Which version it is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How counters rose since the last call; at the first, since each cgroup was made. Where the kernel's own count of
    /// kills has not risen, nothing else is read.
    pub fn rises(&mut self) -> Vec<Rise> {
        let killed = read(&self.vmstat, &mut self.buffer).ok().and_then(file::kills_since_boot);
        let before = !std::mem::replace(&mut self.looked, true);
        if !before && killed.is_some() && killed == self.killed {
            return Vec::new();
        }
        self.killed = killed;
        let found = self.found_where_counts_rose();
        let mut now: BTreeMap<String, Counted> = BTreeMap::new();
        for found in &found {
            if found.unchanged {
                let prefix = format!("{}/", found.path);
                let inside = self.counted.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
                let own = self.counted.get_key_value(&found.path);
                now.extend(own.into_iter().chain(inside).map(|(path, counted)| (path.clone(), *counted)));
            } else {
                now.insert(found.path.clone(), self.count(&found.path));
            }
        }
        // What was made since the last look began at zero.
        let rise = |path: &str| {
            let (now, then) = (now.get(path).copied().unwrap_or_default(), self.counted.get(path).copied());
            rose(now, then.unwrap_or_default())
        };
        let mut rises = Vec::new();
        let pods = found.iter().filter(|found| found.place.level == CgroupLevel::Pod && !found.unchanged);
        for pod in pods {
            let prefix = format!("{}/", pod.path);
            let inside =
                |found: &&Found| found.place.level == CgroupLevel::Container && found.path.starts_with(&prefix);
            let whole = rise(&pod.path);
            let mut seen = 0;
            for container in found.iter().filter(inside) {
                let of = rise(&container.path);
                let kills = kills(&of.whole);
                seen += of.whole.oom_kill;
                if kills > 0 {
                    let around = (self.version == Version::Two).then(|| Around {
                        container: of.own,
                        nested: of.whole.oom > of.own.oom,
                        pod: whole.own,
                        kubepods: self.above(&pod.path, &rise),
                    });
                    rises.push(container.risen(kills, around, before));
                }
            }
            let gone = kills(&MemoryEvents { oom_kill: whole.whole.oom_kill.saturating_sub(seen), ..whole.whole });
            if gone > 0 {
                let around = Around { pod: whole.own, kubepods: self.above(&pod.path, &rise), ..Around::default() };
                // A limit of a container that is gone was its own affair: nothing above it has met one.
                let around = (self.version == Version::Two && scope::of(Some(around)).0.is_some()).then_some(around);
                rises.push(pod.risen(gone, around, before));
            }
        }
        self.counted = now;
        rises
    }

    /// What all cgroups above a pod met together.
    fn above(&self, pod: &str, rise: &impl Fn(&str) -> Counted) -> MemoryEvents {
        let parents = pod.match_indices('/').map(|(at, _)| &pod[..at]).filter(|path| !path.is_empty());
        parents.map(|path| rise(path).own).fold(MemoryEvents::default(), |sum, own| MemoryEvents {
            oom: sum.oom + own.oom,
            max: sum.max + own.max,
            ..sum
        })
    }

    /// Use and counters of every pod and container now, and of what is around them.
    pub fn samples(&mut self) -> Vec<CgroupUse> {
        let found = self.found();
        let before = std::mem::take(&mut self.periods);
        found.into_iter().filter_map(|found| self.sample(found, &before)).collect()
    }

    /// What each container holds now and cannot give back.
    pub fn held(&mut self) -> Vec<Held> {
        let version = self.version;
        let limit = if version == Version::Two { "memory.max" } else { "memory.limit_in_bytes" };
        let containers = self.found().into_iter().filter(|found| found.place.level == CgroupLevel::Container);
        let mut all = Vec::new();
        for Found { path, place, .. } in containers {
            let stat = self.file(&path, "memory.stat", |bytes| Some(file::stat(bytes, version)));
            let (Some((mut parts, _)), Some(container_id)) = (stat, place.container_id) else { continue };
            if version == Version::One {
                self.kernel_parts(&path, &mut parts);
            }
            all.push(Held { container_id, held: parts.held(), limit: self.file(&path, limit, file::limit) });
        }
        all
    }

    /// What version 1 keeps out of `memory.stat`.
    fn kernel_parts(&mut self, path: &str, parts: &mut MemoryBreakdown) {
        parts.kernel = self.file(path, "memory.kmem.usage_in_bytes", file::amount).unwrap_or(0);
        parts.sock = self.file(path, "memory.kmem.tcp.usage_in_bytes", file::amount).unwrap_or(0);
    }

    fn sample(&mut self, found: Found, periods_before: &BTreeMap<String, Throttling>) -> Option<CgroupUse> {
        let two = self.version == Version::Two;
        let Counted { whole, own } = self.count(&found.path);
        let usage =
            self.file(&found.path, if two { "memory.current" } else { "memory.usage_in_bytes" }, file::amount)?;
        let limit = self.file(&found.path, if two { "memory.max" } else { "memory.limit_in_bytes" }, file::limit);
        let peak = self.file(&found.path, if two { "memory.peak" } else { "memory.max_usage_in_bytes" }, file::amount);
        let version = self.version;
        let stat = self.file(&found.path, "memory.stat", |bytes| Some(file::stat(bytes, version)));
        let (mut parts, inactive) = stat.unwrap_or_default();
        let high = self.file(&found.path, "memory.high", file::limit).filter(|_| two);
        let pressure = self.file(&found.path, "memory.pressure", file::pressure).filter(|_| two);
        let periods = self.periods(&found.path);
        let throttling = periods.zip(periods_before.get(&found.path)).and_then(|(now, then)| now.since(*then));
        self.periods.extend(periods.map(|periods| (found.path.clone(), periods)));
        let mut events = whole;
        let swap = if two {
            self.file(&found.path, "memory.swap.current", file::amount)
        } else {
            let file = |tree: &mut Self, name| tree.file(&found.path, name, file::amount);
            self.kernel_parts(&found.path, &mut parts);
            events.max = file(self, "memory.failcnt").unwrap_or(0);
            // It counts both together, and is not there where swap is not accounted for.
            file(self, "memory.memsw.usage_in_bytes").map(|both| both.saturating_sub(usage))
        };
        Some(CgroupUse {
            at: Some(Timestamp::now()),
            path: found.path,
            level: found.place.level,
            pod_uid: found.place.pod_uid,
            container_id: found.place.container_id,
            usage: Some(usage),
            limit,
            high,
            peak,
            swap,
            breakdown: stat.is_some().then_some(parts),
            working_set: stat.is_some().then(|| usage.saturating_sub(inactive)),
            events,
            local_events: two.then_some(own),
            pressure,
            throttling,
        })
    }

    /// Periods since the cgroup was made. Version 1 counts them in a hierarchy beside that of memory.
    fn periods(&mut self, path: &str) -> Option<Throttling> {
        let root = match self.version {
            Version::Two => self.root.clone(),
            Version::One => self.root.with_file_name("cpu"),
        };
        let file = root.join(path.trim_start_matches('/')).join("cpu.stat");
        file::periods(read(&file, &mut self.buffer).ok()?)
    }

    fn file<T>(&mut self, path: &str, name: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        parse(read(&self.at(path).join(name), &mut self.buffer).ok()?)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn count(&mut self, path: &str) -> Counted {
        let events = |bytes: &[u8]| Some(file::events(bytes));
        match self.version {
            Version::Two => Counted {
                whole: self.file(path, "memory.events", events).unwrap_or_default(),
                own: self.file(path, "memory.events.local", events).unwrap_or_default(),
            },
            Version::One => {
                let whole = self.file(path, "memory.oom_control", events).unwrap_or_default();
                Counted { whole, own: MemoryEvents::default() }
            }
        }
    }

    /// The cgroups of pods and containers, and those around them, as they are now.
    fn found(&self) -> Vec<Found> {
        let mut found = Vec::new();
        self.walk("", 0, &mut found, &mut |_| false);
        found
    }

    /// The same without what is in pods in which nothing was killed since the last look: of version 2 a pod's count is that
    /// of all that is in it, and one file of each pod tells where to look.
    fn found_where_counts_rose(&self) -> Vec<Found> {
        let mut buffer = Vec::new();
        let mut is_unchanged = |path: &str| {
            let Some(then) = self.counted.get(path).filter(|_| self.version == Version::Two) else { return false };
            let now = read(&self.at(path).join("memory.events"), &mut buffer).map(file::events);
            let counts = |events: &MemoryEvents| (events.oom, events.oom_kill, events.oom_group_kill);
            now.is_ok_and(|now| counts(&now) == counts(&then.whole))
        };
        let mut found = Vec::new();
        self.walk("", 0, &mut found, &mut is_unchanged);
        found
    }

    fn walk(&self, path: &str, depth: usize, found: &mut Vec<Found>, is_unchanged: &mut impl FnMut(&str) -> bool) {
        // A cgroup that goes away while it is read has nothing below it any more.
        let Ok(entries) = fs::read_dir(self.at(path)) else { return };
        let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names: BTreeSet<String> =
            directories.filter_map(|directory| directory.file_name().into_string().ok()).collect();
        for name in names {
            if found.len() >= WATCHED {
                return;
            }
            let path = format!("{path}/{name}");
            match place(&path) {
                Some(place) => {
                    let level = place.level;
                    let unchanged = level == CgroupLevel::Pod && is_unchanged(&path);
                    found.push(Found { path: path.clone(), place, unchanged });
                    // What a container makes below itself counts to it.
                    if matches!(level, CgroupLevel::Kubepods | CgroupLevel::Pod) && !unchanged {
                        self.walk(&path, depth + 1, found, is_unchanged);
                    }
                }
                None if depth < DEPTH_OF_KUBEPODS => self.walk(&path, depth + 1, found, is_unchanged),
                None => {}
            }
        }
    }
}

impl Found {
    fn risen(&self, kills: u64, around: Option<Around>, before: bool) -> Rise {
        let (level, global) = scope::of(around);
        Rise {
            path: self.path.clone(),
            pod_uid: self.place.pod_uid.clone(),
            container_id: self.place.container_id.clone(),
            kills,
            level,
            global,
            before,
        }
    }
}

/// Processes: a group kill counts the one that was chosen first a second time.
fn kills(events: &MemoryEvents) -> u64 {
    events.oom_kill.saturating_sub(events.oom_group_kill)
}

/// What came on top. A count that went backwards belongs to a cgroup that was made anew under the same name.
fn rose(now: Counted, then: Counted) -> Counted {
    let of = |now: MemoryEvents, then: MemoryEvents| {
        let then = if now.oom_kill < then.oom_kill || now.oom < then.oom { MemoryEvents::default() } else { then };
        MemoryEvents {
            high: now.high.saturating_sub(then.high),
            max: now.max.saturating_sub(then.max),
            oom: now.oom.saturating_sub(then.oom),
            oom_kill: now.oom_kill.saturating_sub(then.oom_kill),
            oom_group_kill: now.oom_group_kill.saturating_sub(then.oom_group_kill),
        }
    };
    Counted { whole: of(now.whole, then.whole), own: of(now.own, then.own) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const POD: &str = "/kubepods/burstable/pod7e2a0b1c-1111-4222-8333-944455556666";
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A hierarchy made of plain files.
    struct Fake {
        root: TempDir,
        version: Version,
    }

    impl Fake {
        fn new(version: Version) -> Fake {
            let fake = Fake { root: tempfile::tempdir().unwrap(), version };
            if version == Version::Two {
                fs::create_dir_all(fake.root.path().join("cgroup")).unwrap();
                fs::write(fake.root.path().join("cgroup/cgroup.controllers"), "memory\n").unwrap();
            }
            fs::create_dir_all(fake.root.path().join("proc")).unwrap();
            fake.killed(0);
            for path in ["/kubepods", "/kubepods/burstable", POD] {
                fake.events(path, 0, 0, 0);
            }
            fs::create_dir_all(fake.at("/system.slice/ssh.service")).unwrap();
            fake
        }

        fn at(&self, path: &str) -> PathBuf {
            let hierarchy = if self.version == Version::Two { "cgroup" } else { "cgroup/memory" };
            self.root.path().join(hierarchy).join(path.trim_start_matches('/'))
        }

        fn tree(&self) -> Tree {
            Tree::open(&self.root.path().join("cgroup"), &self.root.path().join("proc")).unwrap()
        }

        fn killed(&self, kills: u64) {
            fs::write(self.root.path().join("proc/vmstat"), format!("nr_free_pages 1\noom_kill {kills}\n")).unwrap();
        }

        fn write(&self, path: &str, name: &str, text: &str) {
            fs::create_dir_all(self.at(path)).unwrap();
            fs::write(self.at(path).join(name), text).unwrap();
        }

        fn events(&self, path: &str, own: u64, kills: u64, groups: u64) {
            match self.version {
                Version::Two => {
                    let text = |oom| format!("oom {oom}\noom_kill {kills}\noom_group_kill {groups}\n");
                    self.write(path, "memory.events", &text(own));
                    self.write(path, "memory.events.local", &text(own));
                }
                Version::One => {
                    self.write(path, "memory.oom_control", &format!("oom_kill_disable 0\noom_kill {kills}\n"));
                }
            }
        }
    }

    fn container(id: &str) -> String {
        format!("{POD}/{id}")
    }

    #[test]
    fn a_kill_at_a_containers_limit_is_counted_once() {
        let fake = Fake::new(Version::Two);
        fake.events(&container(ID), 0, 0, 0);
        let mut tree = fake.tree();
        assert_eq!(tree.rises(), []);
        fake.events(&container(ID), 1, 4, 1);
        fake.events(POD, 0, 4, 1);
        fake.killed(4);
        let rises = tree.rises();
        assert_eq!(rises.len(), 1, "{rises:?}");
        assert_eq!(
            (rises[0].container_id.as_deref(), rises[0].kills, rises[0].level),
            (Some(ID), 3, Some(CgroupLevel::Container))
        );
        assert_eq!(rises[0].pod_uid.as_deref(), Some("7e2a0b1c-1111-4222-8333-944455556666"));
        assert_eq!(tree.rises(), []);
    }

    #[test]
    fn nothing_is_read_where_the_kernel_has_killed_nothing() {
        let fake = Fake::new(Version::Two);
        let mut tree = fake.tree();
        tree.rises();
        fake.events(&container(ID), 1, 1, 0);
        assert_eq!(tree.rises(), [], "the kernel's own count did not rise");
    }

    #[test]
    fn whose_limit_it_was_is_told_by_who_met_it() {
        for (pod, kubepods, level, global) in
            [(1, 0, Some(CgroupLevel::Pod), false), (0, 1, Some(CgroupLevel::Kubepods), false), (0, 0, None, true)]
        {
            let fake = Fake::new(Version::Two);
            fake.events(&container(ID), 0, 0, 0);
            let mut tree = fake.tree();
            tree.rises();
            fake.events(&container(ID), 0, 1, 0);
            fake.events(POD, pod, 1, 0);
            fake.events("/kubepods", kubepods, 1, 0);
            fake.killed(1);
            let rises = tree.rises();
            assert_eq!((rises[0].level, rises[0].global), (level, global), "pod {pod}, kubepods {kubepods}");
        }
    }

    #[test]
    fn a_container_that_is_gone_leaves_its_kills_to_its_pod() {
        let fake = Fake::new(Version::Two);
        fake.events(&container(ID), 0, 0, 0);
        let mut tree = fake.tree();
        tree.rises();
        fs::remove_dir_all(fake.at(&container(ID))).unwrap();
        fake.events(POD, 0, 1, 0);
        fake.killed(1);
        let rises = tree.rises();
        assert_eq!(rises.len(), 1, "{rises:?}");
        assert_eq!((rises[0].path.as_str(), rises[0].container_id.as_deref(), rises[0].kills), (POD, None, 1));
        assert_eq!((rises[0].level, rises[0].global), (None, false), "the container may have met its own limit");
    }

    #[test]
    fn a_pod_that_was_passed_over_is_counted_from_where_it_was() {
        let fake = Fake::new(Version::Two);
        let other = "/kubepods/burstable/pod7e2a0b1c-1111-4222-8333-000000000000";
        let of_other = format!("{other}/{ID}");
        fake.events(&container(ID), 0, 0, 0);
        fake.events(&of_other, 0, 0, 0);
        fake.events(other, 0, 0, 0);
        let mut tree = fake.tree();
        tree.rises();
        // Two looks at kills in the one pod; the other is passed over, and then has one of its own.
        for kills in 1..=2 {
            fake.events(&container(ID), kills, kills, 0);
            fake.events(POD, 0, kills, 0);
            fake.killed(kills);
            let rises = tree.rises();
            assert_eq!(rises.iter().map(|rise| rise.kills).collect::<Vec<_>>(), [1], "{rises:?}");
        }
        fake.events(&of_other, 1, 1, 0);
        fake.events(other, 0, 1, 0);
        fake.killed(3);
        let rises = tree.rises();
        assert_eq!((rises.len(), rises[0].path.as_str(), rises[0].kills), (1, of_other.as_str(), 1), "{rises:?}");
    }

    #[test]
    fn kills_before_the_first_look_are_told_as_such() {
        let fake = Fake::new(Version::One);
        fake.events(&container(ID), 0, 2, 0);
        let rises = fake.tree().rises();
        assert_eq!((rises[0].kills, rises[0].before, rises[0].level, rises[0].global), (2, true, None, false));
    }

    #[test]
    fn a_count_that_went_backwards_is_of_another_cgroup() {
        let fake = Fake::new(Version::One);
        fake.events(&container(ID), 0, 5, 0);
        let mut tree = fake.tree();
        tree.rises();
        fake.events(&container(ID), 0, 1, 0);
        fake.killed(1);
        assert_eq!(tree.rises()[0].kills, 1);
    }

    #[test]
    fn a_sample_says_what_the_memory_is() {
        let fake = Fake::new(Version::Two);
        let path = container(ID);
        fake.events(&path, 1, 1, 0);
        for (name, text) in [
            ("memory.current", "1000\n"),
            ("memory.max", "2000\n"),
            ("memory.high", "max\n"),
            ("memory.peak", "1900\n"),
            ("memory.stat", "anon 400\nfile 500\nshmem 100\ninactive_file 300\nkernel 50\nsock 5\n"),
            ("memory.pressure", "some avg10=1.50 avg60=0.00\nfull avg10=0.25 avg60=0.00\n"),
        ] {
            fake.write(&path, name, text);
        }
        let held = Held { container_id: ID.to_owned(), held: 555, limit: Some(2000) };
        assert_eq!(fake.tree().held(), [held], "all but 400 of files");
        let samples = fake.tree().samples();
        let sample = samples.iter().find(|sample| sample.level == CgroupLevel::Container).unwrap();
        assert_eq!((sample.usage, sample.limit, sample.high, sample.peak), (Some(1000), Some(2000), None, Some(1900)));
        assert_eq!((sample.working_set, sample.pressure), (Some(700), Some((150, 25))));
        let parts = sample.breakdown.unwrap();
        assert_eq!((parts.anon, parts.file, parts.shmem, parts.kernel, parts.sock), (400, 400, 100, 50, 5));
    }

    #[test]
    fn throttling_is_told_of_the_time_since_the_reading_before() {
        let fake = Fake::new(Version::Two);
        let path = container(ID);
        let mut tree = fake.tree();
        let mut read = |stat: &str| {
            fake.write(&path, "memory.current", "1000\n");
            fake.write(&path, "cpu.stat", stat);
            let samples = tree.samples();
            samples.iter().find(|sample| sample.level == CgroupLevel::Container).unwrap().throttling
        };
        assert_eq!(read("usage_usec 1\nnr_periods 1000\nnr_throttled 10\nthrottled_usec 5\n"), None);
        let since = read("usage_usec 1\nnr_periods 1150\nnr_throttled 110\nthrottled_usec 9\n").unwrap();
        assert_eq!((since, since.percent()), (Throttling { periods: 150, throttled: 100 }, 66));
        assert_eq!(read("nr_periods 3\nnr_throttled 0\n"), None, "another cgroup of that name");
        assert_eq!(read("usage_usec 1\n"), None, "no controller of processor time");
    }

    #[test]
    fn version_one_is_read_by_its_own_names() {
        let fake = Fake::new(Version::One);
        let path = container(ID);
        fake.events(&path, 0, 1, 0);
        for (name, text) in [
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.max_usage_in_bytes", "1900\n"),
            ("memory.memsw.usage_in_bytes", "1100\n"),
            ("memory.failcnt", "7\n"),
            ("memory.kmem.usage_in_bytes", "50\n"),
            ("memory.stat", "total_rss 400\ntotal_cache 500\ntotal_inactive_file 300\n"),
        ] {
            fake.write(&path, name, text);
        }
        let samples = fake.tree().samples();
        let sample = samples.iter().find(|sample| sample.level == CgroupLevel::Container).unwrap();
        assert_eq!((sample.usage, sample.limit, sample.peak, sample.swap), (Some(1000), None, Some(1900), Some(100)));
        assert_eq!((sample.events.max, sample.events.oom_kill, sample.local_events), (7, 1, None));
        assert_eq!(sample.breakdown.unwrap().kernel, 50);
    }

    #[test]
    fn a_node_without_the_hierarchy_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert!(Tree::open(root.path(), root.path()).is_err());
    }
}

//! Logs as they come: cut, mixed, repeated, written by older kernels, in other forms, and by those who mean harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use reckon_model::kernel::{CgroupLevel, MemoryKind, OomEpisode, OomScope};
use reckon_node::log::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(bytes: &[u8]) -> Vec<OomEpisode> {
    let mut parser = Parser::new(None);
    parser.feed(bytes);
    parser.finish();
    parser.episodes()
}

fn recorded() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kmsg/linux-6.12-cgroup2.txt")).unwrap()
}

/// What the kernel's messages are, without what the recording puts around them.
fn messages() -> Vec<String> {
    let text = recorded();
    let text = String::from_utf8_lossy(&text);
    text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

#[test]
fn a_report_of_linux_4_19_is_read() {
    let uid = "3d1f6f2e-9c0b-4a57-8f7e-0123456789ab";
    let id = "8f3c2f4d9a1be07d35c6a1f0b2e4d6c8091a2b3c4d5e6f708192a3b4c5d6e7f8";
    let log = format!(
        "[  100.000001] java invoked oom-killer: gfp_mask=0x6000c0(GFP_KERNEL), nodemask=(null), order=0, oom_score_adj=938\n\
         [  100.000002] java cpuset={id} mems_allowed=0\n\
         [  100.000003] CPU: 1 PID: 4711 Comm: java Not tainted 4.19.0-27-amd64 #1\n\
         [  100.000004] Task in /kubepods/burstable/pod{uid}/{id} killed as a result of limit of /kubepods/burstable/pod{uid}\n\
         [  100.000005] memory: usage 65536kB, limit 65536kB, failcnt 23\n\
         [  100.000006] memory+swap: usage 69632kB, limit 9007199254740988kB, failcnt 0\n\
         [  100.000007] kmem: usage 900kB, limit 9007199254740988kB, failcnt 0\n\
         [  100.000008] Memory cgroup stats for /kubepods/burstable/pod{uid}: cache:0KB rss:0KB shmem:0KB\n\
         [  100.000009] Memory cgroup stats for /kubepods/burstable/pod{uid}/{id}: cache:50000KB rss:14000KB shmem:50000KB\n\
         [  100.000010] [ pid ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n\
         [  100.000011] [ 4711]     0  4711    16653    16463   172032        0           938 java\n\
         [  100.000012] Memory cgroup out of memory: Kill process 4711 (java) score 1952 or sacrifice child\n\
         [  100.000013] Killed process 4711 (java) total-vm:66612kB, anon-rss:13900kB, file-rss:4kB, shmem-rss:700kB\n\
         [  100.000014] oom_reaper: reaped process 4711 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:700kB\n"
    );
    let episodes = read(log.as_bytes());
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
    let episode = &episodes[0];
    assert_eq!(episode.scope, Some(OomScope::Memcg));
    assert_eq!((episode.level, episode.pod_uid.as_deref()), (Some(CgroupLevel::Pod), Some(uid)));
    assert_eq!(episode.container_id.as_deref(), Some(id));
    assert_eq!((episode.usage_kib, episode.limit_kib, episode.swap_kib), (Some(65536), Some(65536), Some(4096)));
    assert_eq!(episode.kind, Some(MemoryKind::Shmem));
    assert_eq!((episode.victims.len(), episode.victims[0].pid, episode.victims[0].comm.as_str()), (1, 4711, "java"));
}

#[test]
fn a_journal_and_other_messages_in_between_change_nothing_but_the_time() {
    let messages = messages();
    let plain = read((messages.join("\n") + "\n").as_bytes());
    assert!(plain.len() > 40);
    let journal: String = messages
        .iter()
        .map(|message| {
            let text = message.split_once("] ").unwrap().1;
            format!("2026-11-25T10:00:00+00:00 n1 kernel: {text}\n2026-11-25T10:00:00+00:00 n1 kernel: usb 1-1: new device\n2026-11-25T10:00:00+00:00 n1 systemd[1]: Started.\n")
        })
        .collect();
    let from_journal = read(journal.as_bytes());
    let without_time = |episodes: &[OomEpisode]| -> Vec<OomEpisode> {
        episodes.iter().map(|episode| OomEpisode { at: None, ..episode.clone() }).collect()
    };
    assert!(from_journal.iter().all(|episode| episode.at.is_some()));
    // Kills without a report belong together by their times, which a journal tells to the second.
    let reported = |episodes: &[OomEpisode]| -> Vec<OomEpisode> {
        without_time(episodes).into_iter().filter(|episode| episode.invoker.is_some()).collect()
    };
    assert_eq!(reported(&from_journal), reported(&plain));
    let pids = |episodes: &[OomEpisode]| episodes.iter().flat_map(|episode| &episode.victims).count();
    assert_eq!(pids(&from_journal), pids(&plain));
}

#[test]
fn the_time_since_boot_is_turned_into_a_time_of_day() {
    let mut parser = Parser::new(Some("2026-11-25T10:00:00Z".parse().unwrap()));
    parser.feed(b"[   60.500000] Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB\n");
    parser.finish();
    assert_eq!(parser.episodes()[0].at.unwrap().to_string(), "2026-11-25T10:01:00.5Z");
}

#[test]
fn kills_without_a_report_stay_apart_from_the_report_before_and_from_each_other_after_a_while() {
    let kill = |at: u32, pid: u32| {
        format!("[{at:>5}.000000] Memory cgroup out of memory: Killed process {pid} (w) total-vm:1kB\n")
    };
    let log = "[    1.000000] w invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n".to_owned()
        + &kill(1, 1)
        + &kill(2, 2)
        + &kill(3, 3)
        + &kill(60, 4);
    let victims: Vec<Vec<u32>> =
        read(log.as_bytes()).iter().map(|episode| episode.victims.iter().map(|victim| victim.pid).collect()).collect();
    assert_eq!(victims, [vec![1], vec![2, 3], vec![4]]);
}

#[test]
fn what_others_write_into_the_kernels_log_is_not_its_word() {
    let kill = "Memory cgroup out of memory: Killed process 7 (w) total-vm:1kB, anon-rss:1kB";
    // 12 is the level 4 of facility 1, which the kernel gives to whatever writes to /dev/kmsg.
    assert_eq!(read(format!("12,1,5,-;{kill}\n").as_bytes()).len(), 0);
    assert_eq!(read(format!("4,1,5,-;{kill}\n").as_bytes()).len(), 1);
}

#[test]
fn a_log_of_two_boots_mixes_none_of_their_kills() {
    let kill = |at: u32| format!("[{at:>5}.000000] Memory cgroup out of memory: Killed process 7 (w) total-vm:1kB\n");
    let group = |at: u32| format!("[{at:>5}.000000] Tasks in /a are going to be killed due to memory.oom.group set\n");
    for log in [kill(90_000) + &kill(9), group(90_000) + &kill(90_000) + &kill(9), kill(90_000) + &group(9) + &kill(9)]
    {
        let episodes = read(log.as_bytes());
        let pids: Vec<Vec<u32>> =
            episodes.iter().map(|episode| episode.victims.iter().map(|victim| victim.pid).collect()).collect();
        assert_eq!(pids, [[7], [7]], "{log}");
    }
}

#[test]
fn a_clock_that_is_set_moves_what_comes_after_it_and_nothing_before() {
    let times = |parser: &mut Parser| -> Vec<String> {
        parser.episodes().iter().map(|episode| episode.at.unwrap().to_string()).collect()
    };
    for (boot, then) in
        [("2026-11-25T09:00:00Z", "2026-11-25T09:02:00Z"), ("2027-01-01T00:00:00Z", "2027-01-01T00:02:00Z")]
    {
        let mut parser = Parser::new(Some("2026-11-25T10:00:00Z".parse().unwrap()));
        parser.feed(b"6,1,60000000,-;Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB\n");
        parser.settle();
        parser.set_boot(Some(boot.parse().unwrap()));
        parser.feed(b"6,2,120000000,-;Memory cgroup out of memory: Killed process 8 (x) total-vm:1kB\n");
        parser.finish();
        assert_eq!(times(&mut parser), ["2026-11-25T10:01:00Z", then]);
    }
}

#[test]
fn records_that_are_missing_are_counted() {
    let mut parser = Parser::new(None);
    parser.feed(b"6,10,1,-;a\n6,11,2,-;b\n SUBSYSTEM=x\n6,15,3,-;c\n");
    assert_eq!(parser.lost(), 3);
}

#[test]
fn a_line_without_an_end_and_a_storm_are_held_within_bounds() {
    let mut parser = Parser::new(None);
    for _ in 0..100 {
        parser.feed(&[b'x'; 1 << 20]);
    }
    parser.feed(b"\n[    1.000000] Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB\n");
    parser.finish();
    assert_eq!(parser.episodes().len(), 1);
    let mut storm = String::from("[    1.000000] Tasks in /a are going to be killed due to memory.oom.group set\n");
    for pid in 0..10_000 {
        storm.push_str(&format!("[    1.000000] Memory cgroup out of memory: Killed process {pid} (w) total-vm:1kB\n"));
    }
    let episodes = read(storm.as_bytes());
    assert_eq!(episodes.iter().map(|episode| episode.victims.len()).sum::<usize>(), 10_000);
    assert!(episodes.iter().all(|episode| episode.victims.len() <= 1024));
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_where_they_are_cut_changes_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        cut in 1_usize..100,
    ) {
        let whole = read(&bytes);
        let mut parser = Parser::new(None);
        bytes.chunks(cut).for_each(|chunk| parser.feed(chunk));
        parser.finish();
        prop_assert_eq!(parser.episodes(), whole);
    }

    #[test]
    fn reports_in_any_disorder_name_each_process_once_an_episode(
        picks in proptest::collection::vec((0_usize..2000, 0_usize..200), 0..400),
    ) {
        let messages = messages();
        let mut log = String::new();
        for (at, cut) in picks {
            let message = &messages[at % messages.len()];
            let end = message.ceil_char_boundary(message.len().saturating_sub(if cut < 20 { cut * 5 } else { 0 }));
            log.push_str(&message[..end]);
            log.push('\n');
        }
        for episode in read(log.as_bytes()) {
            let pids: BTreeSet<_> = episode.victims.iter().map(|victim| (victim.pid, &victim.comm)).collect();
            prop_assert_eq!(pids.len(), episode.victims.len());
            prop_assert!(episode.invoker.is_some() || !episode.victims.is_empty());
        }
    }
}

//! Everything a kernel's log passes through: lines, messages, reports, cgroup paths, the account of what was told.
//!
//! The first byte chooses the size of the chunks the rest arrives in. Whatever comes, nothing may panic, overflow or hang;
//! the same bytes in one piece and in chunks have to give the same episodes; and no process is named twice in one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reckon_node::counters::Ledger;
use reckon_node::log::Parser;
use reckon_node::path::place;
use std::collections::BTreeSet;

fuzz_target!(|data: &[u8]| {
    let Some((&size, body)) = data.split_first() else { return };
    let read = |size: usize| {
        let mut parser = Parser::new(None);
        body.chunks(size.max(1)).for_each(|chunk| parser.feed(chunk));
        parser.finish();
        parser.episodes()
    };
    let whole = read(body.len());
    assert_eq!(whole, read(usize::from(size)), "the episodes depend on where the chunks end");
    let mut ledger = Ledger::default();
    for episode in &whole {
        let named: BTreeSet<_> = episode.victims.iter().map(|victim| (victim.pid, &victim.comm)).collect();
        assert_eq!(named.len(), episode.victims.len(), "a process is named twice");
        assert!(episode.invoker.is_some() || !episode.victims.is_empty(), "an episode of nothing");
        ledger.logged(episode);
    }
    for line in body.split(|byte| *byte == b'\n') {
        let _ = place(&String::from_utf8_lossy(line));
    }
});

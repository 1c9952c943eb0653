//! A directory in memory in which everything can go wrong that may go wrong with one.
//!
//! Reads show what was written, as a page cache does. What survives a loss of power is what was synced, and of the rest any part:
//! sectors of 512 bytes, each or not, in no order; and of the names that were not synced any, in order or not.

use super::files::Files;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

const SECTOR: usize = 512;

#[derive(Default)]
struct Inode {
    durable: Vec<u8>,
    shown: Vec<u8>,
    /// Written and not synced: where and what.
    dirty: Vec<(usize, Vec<u8>)>,
}

enum Turn {
    Link(String, usize),
    Move(String, String, usize),
    Unlink(String),
}

pub(super) struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    turns: Vec<Turn>,
    dice: fastrand::Rng,
    /// How many bytes all files may have.
    pub(super) capacity: usize,
    /// How many syncs fail from now on.
    pub(super) failing_syncs: u32,
    /// After so many more steps the process is killed: nothing it does has any effect.
    pub(super) steps_to_live: Option<u32>,
    /// Writes may be short.
    pub(super) short_writes: bool,
}

/// What a process sees of the disk. Clones see the same.
#[derive(Clone)]
pub(super) struct Simulated(Rc<RefCell<Disk>>);

impl Simulated {
    pub(super) fn new(seed: u64) -> Simulated {
        Simulated(Rc::new(RefCell::new(Disk {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            turns: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
            capacity: usize::MAX,
            failing_syncs: 0,
            steps_to_live: None,
            short_writes: true,
        })))
    }

    pub(super) fn disk(&self) -> RefMut<'_, Disk> {
        self.0.borrow_mut()
    }
}

impl Disk {
    pub(super) fn used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].shown.len()).sum()
    }

    pub(super) fn contents(&self, name: &str) -> Option<Vec<u8>> {
        self.names.get(name).map(|inode| self.inodes[*inode].shown.clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// Puts bytes into a file, durably, as nobody would but a test.
    pub(super) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.inodes.push(Inode { durable: bytes.clone(), shown: bytes, dirty: Vec::new() });
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.durable_names.insert(name.to_owned(), inode);
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.names.remove(name);
        self.durable_names.remove(name);
    }

    /// Turns one bit of a file, on the disk and in what is shown. Of which file, and which bit, the number says.
    pub(super) fn flip(&mut self, number: u64, of: impl Fn(&str) -> bool) -> Option<(String, usize)> {
        let names: Vec<String> = self.names.keys().filter(|name| of(name)).cloned().collect();
        let total: usize = names.iter().map(|name| self.inodes[self.names[name]].shown.len()).sum();
        let mut bit = usize::try_from(number % (8 * total.max(1) as u64)).unwrap();
        for name in names {
            let inode = &mut self.inodes[self.names[&name]];
            if bit < inode.shown.len() * 8 {
                inode.shown[bit / 8] ^= 1 << (bit % 8);
                if let Some(byte) = inode.durable.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                for (at, bytes) in &mut inode.dirty {
                    if let Some(byte) = (bit / 8).checked_sub(*at).and_then(|at| bytes.get_mut(at)) {
                        *byte ^= 1 << (bit % 8);
                    }
                }
                return Some((name, bit / 8));
            }
            bit -= inode.shown.len() * 8;
        }
        None
    }

    /// The machine stops, and starts again.
    pub(super) fn lose_power(&mut self) {
        let Disk { inodes, dice, .. } = self;
        for inode in inodes.iter_mut() {
            let chance = [0.0, 0.5, 0.9, 1.0][dice.usize(..4)];
            let mut sectors: Vec<(usize, Vec<u8>)> = Vec::new();
            for (at, bytes) in inode.dirty.drain(..) {
                sectors.extend(bytes.chunks(SECTOR).enumerate().map(|(n, part)| (at + n * SECTOR, part.to_vec())));
            }
            sectors.retain(|_| dice.f64() < chance);
            for (at, bytes) in sectors {
                put_at(&mut inode.durable, at, &bytes);
            }
            inode.shown.clone_from(&inode.durable);
        }
        // Journals keep names in order, and not every file system has one.
        let in_order = self.dice.bool();
        let kept = self.dice.usize(..=self.turns.len());
        for (at, turn) in std::mem::take(&mut self.turns).into_iter().enumerate() {
            if (in_order && at < kept) || (!in_order && self.dice.bool()) {
                apply(&mut self.durable_names, turn);
            }
        }
        self.names = self.durable_names.clone();
        self.revive();
    }

    /// Another process may begin.
    pub(super) fn revive(&mut self) {
        self.steps_to_live = None;
        self.failing_syncs = 0;
    }

    /// One step of the process; whether it is the one it is killed in.
    fn step(&mut self) -> io::Result<bool> {
        match &mut self.steps_to_live {
            Some(0) => Err(io::Error::other("killed")),
            Some(left) => {
                *left -= 1;
                Ok(*left == 0)
            }
            None => Ok(false),
        }
    }
}

fn apply(names: &mut BTreeMap<String, usize>, turn: Turn) {
    match turn {
        Turn::Link(name, inode) => {
            names.insert(name, inode);
        }
        Turn::Move(from, to, inode) => {
            names.remove(&from);
            names.insert(to, inode);
        }
        Turn::Unlink(name) => {
            names.remove(&name);
        }
    }
}

fn put_at(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    if bytes.len() < at + part.len() {
        bytes.resize(at + part.len(), 0);
    }
    bytes[at..at + part.len()].copy_from_slice(part);
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for Simulated {
    type File = usize;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().names())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let shown = self.disk().contents(name).ok_or_else(absent)?;
        let begin = usize::try_from(offset).unwrap().min(shown.len());
        Ok(shown[begin..begin.saturating_add(length).min(shown.len())].to_vec())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk().contents(name).map(|shown| shown.len() as u64).ok_or_else(absent)
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        let mut disk = self.disk();
        disk.step()?;
        disk.inodes.push(Inode::default());
        let inode = disk.inodes.len() - 1;
        disk.names.insert(name.to_owned(), inode);
        disk.turns.push(Turn::Link(name.to_owned(), inode));
        Ok(inode)
    }

    fn write(&mut self, file: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.disk();
        let last = disk.step()?;
        let room = disk.capacity.saturating_sub(disk.used());
        let short = disk.short_writes && disk.dice.u8(..4) == 0;
        let taken = match bytes.len().min(room) {
            0 => return Err(io::ErrorKind::StorageFull.into()),
            most if last => disk.dice.usize(..=most),
            most if short => disk.dice.usize(1..=most),
            most => most,
        };
        let inode = &mut disk.inodes[*file];
        let at = inode.shown.len();
        put_at(&mut inode.shown, at, &bytes[..taken]);
        inode.dirty.push((at, bytes[..taken].to_vec()));
        if last { Err(io::Error::other("killed")) } else { Ok(taken) }
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        let fails = disk.failing_syncs > 0;
        disk.failing_syncs = disk.failing_syncs.saturating_sub(1);
        let kept: Vec<bool> = (0..disk.inodes[*file].dirty.len()).map(|_| !fails || disk.dice.bool()).collect();
        let inode = &mut disk.inodes[*file];
        for ((at, bytes), kept) in std::mem::take(&mut inode.dirty).into_iter().zip(kept) {
            if kept {
                put_at(&mut inode.durable, at, &bytes);
            }
        }
        // What was not kept is shown as long as there is power, and counts as clean.
        if fails { Err(io::Error::other("the disk does not answer")) } else { Ok(()) }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        let inode = disk.names.remove(from).ok_or_else(absent)?;
        disk.names.insert(to.to_owned(), inode);
        disk.turns.push(Turn::Move(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        disk.names.remove(name).ok_or_else(absent)?;
        disk.turns.push(Turn::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        for turn in std::mem::take(&mut disk.turns) {
            apply(&mut disk.durable_names, turn);
        }
        Ok(())
    }
}

//! One run: writes, time and faults, as the seed decides.

use super::mirror::{Leave, Mirror};
use crate::connection::Connection;
use reckon_model::{Kind, SignedDuration, Timestamp};
use reckon_sim::{Clock, Config, Fault, FaultId, FaultKind, Rng, Server, Snapshot};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    CutMidLine,
    Expired,
    TooLarge,
    StorageDown,
    NoClosingBookmark,
    TooMany,
    Unauthorized,
    HalfOpen,
    Lagging,
    Duplicate,
    Reorder,
    Drop,
    Refuse,
    /// All connections break.
    Cut,
    /// They break, and the server's memory begins anew.
    Restart,
    /// etcd is restored from a backup and the server started again.
    Restore,
    /// The same, and the open watches stay open.
    RestoreInSilence,
}

impl Trouble {
    pub(super) const ALL: &[Trouble] = &[
        Trouble::CutMidLine,
        Trouble::Expired,
        Trouble::TooLarge,
        Trouble::StorageDown,
        Trouble::NoClosingBookmark,
        Trouble::TooMany,
        Trouble::Unauthorized,
        Trouble::HalfOpen,
        Trouble::Lagging,
        Trouble::Duplicate,
        Trouble::Reorder,
        Trouble::Drop,
        Trouble::Refuse,
        Trouble::Cut,
        Trouble::Restart,
        Trouble::Restore,
        Trouble::RestoreInSilence,
    ];

    /// One to five of them, as the seed decides.
    pub(super) fn some(seed: u64) -> Vec<Trouble> {
        let mut dice = Rng::new(seed ^ 0x7_0b1e);
        let mut left = Trouble::ALL.to_vec();
        let count = 1 + dice.below(5);
        (0..count).map(|_| left.swap_remove(index(&mut dice, left.len()))).collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Trouble::CutMidLine => "cut-mid-line",
            Trouble::Expired => "expired",
            Trouble::TooLarge => "too-large",
            Trouble::StorageDown => "storage-down",
            Trouble::NoClosingBookmark => "no-closing-bookmark",
            Trouble::TooMany => "too-many",
            Trouble::Unauthorized => "unauthorized",
            Trouble::HalfOpen => "half-open",
            Trouble::Lagging => "lagging",
            Trouble::Duplicate => "duplicate",
            Trouble::Reorder => "reorder",
            Trouble::Drop => "drop",
            Trouble::Refuse => "refuse",
            Trouble::Cut => "cut",
            Trouble::Restart => "restart",
            Trouble::Restore => "restore",
            Trouble::RestoreInSilence => "restore-in-silence",
        }
    }

    /// The standing fault, if it is one.
    fn fault(self, dice: &mut Rng) -> Option<FaultKind> {
        Some(match self {
            Trouble::CutMidLine => FaultKind::CutMidLine,
            Trouble::Expired => FaultKind::ExpiredInStream,
            Trouble::TooLarge => FaultKind::RevisionTooLarge,
            Trouble::StorageDown => FaultKind::StorageDown,
            Trouble::NoClosingBookmark => FaultKind::NoClosingBookmark,
            Trouble::TooMany => FaultKind::TooManyRequests { retry_after: 1 + small(dice, 5) },
            Trouble::Unauthorized => FaultKind::Unauthorized,
            Trouble::HalfOpen => FaultKind::HalfOpen,
            Trouble::Lagging => FaultKind::Lagging { revisions: 1 + dice.below(8) },
            Trouble::Duplicate => FaultKind::DuplicateEvents,
            Trouble::Reorder => FaultKind::ReorderEvents,
            Trouble::Drop => FaultKind::DropEvents,
            Trouble::Refuse => FaultKind::Refuse { code: [500, 502, 503, 403_u16][index(dice, 4)] },
            Trouble::Cut | Trouble::Restart | Trouble::Restore | Trouble::RestoreInSilence => return None,
        })
    }
}

/// A place in a list of that length.
fn index(dice: &mut Rng, length: usize) -> usize {
    usize::try_from(dice.below(length as u64)).unwrap_or_default()
}

fn small(dice: &mut Rng, bound: u64) -> u32 {
    u32::try_from(dice.below(bound)).unwrap_or_default()
}

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) steps: u64,
    pub(super) troubles: Vec<Trouble>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) wrong: Vec<String>,
    pub(super) told: Vec<String>,
}

const NAMESPACES: [&str; 2] = ["default", "shop"];
const RESOURCES: [&str; 2] = ["configmaps", "serviceaccounts"];

fn kinds() -> [Kind; 2] {
    [Kind::ConfigMap, Kind::of_group("", "ServiceAccount")]
}

/// Runs a plan from its beginning to a minute after its last fault.
pub(super) fn run(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Within it, so that its clock is the one that stands still.
    runtime.block_on(async { Run::new(plan).run().await })
}

struct Run<'a> {
    plan: &'a Plan,
    dice: Rng,
    server: Server,
    /// The time of each write.
    times: Vec<Timestamp>,
    standing: Vec<(Instant, FaultId)>,
    snapshot: Option<Snapshot>,
    /// When a backup may be restored again: after the time that is given for it to be found.
    restore_at: Instant,
    undone: Vec<u64>,
    happened: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> Run<'a> {
        let base: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let config = Config { seed: plan.seed, controllers: false, ..Config::default() };
        let server = Server::new(config, Clock::running(base, 1));
        server.world().create("namespaces", json!({"metadata": {"name": "shop"}})).unwrap();
        Run {
            plan,
            dice: Rng::new(plan.seed ^ 0x5eed),
            server,
            times: Vec::new(),
            standing: Vec::new(),
            snapshot: None,
            restore_at: Instant::now(),
            undone: Vec::new(),
            happened: Vec::new(),
        }
    }

    async fn run(mut self) -> Outcome {
        let client = kube::Client::new(self.server.clone(), "default");
        let connection = Connection::over(client, self.plan.seed, self.server.clock().now());
        // Half of them take it for an older server, whose lists are streamed.
        let minor = if self.plan.seed.is_multiple_of(2) { 33 } else { 37 };
        connection.inner.minor.set(minor).unwrap();
        let mirror = Arc::new(Mutex::new(Mirror::new(self.server.clone(), &kinds())));
        let mut listing = connection.follow(kinds().to_vec(), None);
        let heard = mirror.clone();
        let listener = tokio::spawn(async move {
            while let Some(event) = listing.next().await {
                heard.lock().unwrap().hear(event);
            }
        });
        self.stamp();
        for _ in 0..self.plan.steps {
            self.step();
            self.stamp();
            let pause = match self.dice.below(10) {
                0..3 => 0,
                3..8 => 5 + self.dice.below(2000),
                8 => 2000 + self.dice.below(8000),
                _ => 10_000 + self.dice.below(50_000),
            };
            sleep(Duration::from_millis(pause)).await;
            self.calm(false);
        }
        // The last one has the least time to be found.
        if let Some(&trouble) = self.plan.troubles.first() {
            self.trouble(trouble);
            self.stamp();
        }
        self.calm(true);
        sleep(self.settles()).await;
        listener.abort();
        let mut mirror = mirror.lock().unwrap();
        mirror.settled(&kinds());
        let leave = self.leave();
        mirror.judge(&kinds(), &self.times, &self.undone, &leave);
        let mut told = std::mem::take(&mut mirror.log);
        told.append(&mut self.happened);
        told.sort();
        Outcome { wrong: std::mem::take(&mut mirror.wrong), told }
    }

    /// How long after the last fault all has to be as it is.
    fn settles(&self) -> Duration {
        let had = |trouble| self.plan.troubles.contains(&trouble);
        Duration::from_secs(match () {
            // What was left out is found when the next page is compared, which waits for a bookmark; so is a history of
            // which the watches were not told.
            () if had(Trouble::Drop) || had(Trouble::Reorder) || had(Trouble::RestoreInSilence) => 240,
            // What is half open is found by its silence.
            () if had(Trouble::HalfOpen) || had(Trouble::Lagging) => 160,
            () => 60,
        })
    }

    fn leave(&self) -> Leave {
        let had = |trouble| self.plan.troubles.contains(&trouble);
        let late = match () {
            // Until a page is compared, or its bookmarks show that it does not come after the others.
            () if [Trouble::Reorder, Trouble::Drop, Trouble::Lagging, Trouble::RestoreInSilence]
                .into_iter()
                .any(had) =>
            {
                240
            }
            () if had(Trouble::HalfOpen) => 100,
            () => 60,
        };
        // Of a watch that leaves out what a newer state of the same object covers, nobody can tell; nor of a history that was
        // rewound and has overtaken the lost one.
        let overtaken =
            [Trouble::Reorder, Trouble::Drop, Trouble::Restore, Trouble::RestoreInSilence].into_iter().any(had);
        Leave { late: SignedDuration::from_secs(late), overtaken }
    }

    /// Notes the time of the writes since.
    fn stamp(&mut self) {
        let written = self.server.world().writes().all().len();
        self.times.resize(written, self.server.clock().now());
    }

    fn step(&mut self) {
        if !self.plan.troubles.is_empty() && self.dice.below(16) == 0 {
            let trouble = self.plan.troubles[index(&mut self.dice, self.plan.troubles.len())];
            self.trouble(trouble);
            return;
        }
        if self.snapshot.is_none() || self.dice.below(40) == 0 {
            self.snapshot = Some(self.server.world().snapshot());
        }
        let writes = if self.dice.below(12) == 0 { 1 + self.dice.below(20) } else { 1 };
        (0..writes).for_each(|_| self.write());
    }

    fn write(&mut self) {
        let resource = RESOURCES[index(&mut self.dice, 2)];
        let namespace = NAMESPACES[index(&mut self.dice, 2)];
        let name = format!("n{}", self.dice.below(6));
        let mut world = self.server.world();
        let there = world.get(resource, namespace, &name).is_some();
        match (there, self.dice.below(10)) {
            (false, _) => {
                let object = json!({"metadata": {"name": name, "namespace": namespace}});
                world.create(resource, object).unwrap();
            }
            (true, 0..2) => {
                world.remove_now(resource, namespace, &name);
            }
            (true, 2) => {
                world.recreate(resource, namespace, &name).unwrap();
            }
            (true, _) => {
                let mark = self.dice.bits().to_string();
                world.edit(resource, namespace, &name, "driver", |object| {
                    object["metadata"]["annotations"]["mark"] = mark.into();
                });
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.happened.push(format!("{} {trouble:?}", self.server.clock().now()));
        if let Some(kind) = trouble.fault(&mut self.dice) {
            let mut fault = Fault::new(kind);
            // A store is dead for all.
            if self.dice.below(2) == 0 && trouble != Trouble::StorageDown {
                fault = fault.at(RESOURCES[index(&mut self.dice, 2)]);
            }
            if self.dice.below(2) == 0 {
                fault = fault.one_in(2 + small(&mut self.dice, 4));
            }
            if self.dice.below(3) == 0 {
                fault = fault.times(1 + small(&mut self.dice, 4));
            }
            let until = Instant::now() + Duration::from_millis(500 + self.dice.below(120_000));
            let lasts = until - Instant::now();
            self.happened.push(format!("{}   {fault:?} for {lasts:?}", self.server.clock().now()));
            let id = self.server.world().fault(fault);
            self.standing.push((until, id));
            return;
        }
        let mut world = self.server.world();
        match trouble {
            Trouble::Cut => world.cut_all(),
            Trouble::Restart => {
                // While nobody is served, the others go on writing.
                drop(world);
                let writes = self.dice.below(6);
                (0..writes).for_each(|_| self.write());
                self.server.world().restart();
            }
            Trouble::Restore | Trouble::RestoreInSilence => {
                let Some(snapshot) = self.snapshot.clone().filter(|_| self.restore_at <= Instant::now()) else {
                    return;
                };
                let found_within = if trouble == Trouble::Restore { 60 } else { 600 };
                self.restore_at = Instant::now() + Duration::from_secs(found_within);
                world.restore(&snapshot);
                self.undone.push(snapshot.revision());
                drop(world);
                let writes = if self.dice.below(2) == 0 { self.dice.below(60) } else { self.dice.below(3) };
                (0..writes).for_each(|_| self.write());
                if trouble == Trouble::Restore {
                    self.server.world().cut_all();
                }
            }
            _ => {}
        }
    }

    /// Ends the faults whose time is over, or all.
    fn calm(&mut self, all: bool) {
        let now = Instant::now();
        let over = self.standing.extract_if(.., |(until, _)| all || *until <= now);
        let over: Vec<FaultId> = over.map(|(_, id)| id).collect();
        let mut world = self.server.world();
        over.into_iter().for_each(|id| world.fault_off(Some(id)));
    }
}

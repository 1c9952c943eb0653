//! The simulated cluster: every object, one revision counter, and what happened.

use crate::behaviour::Behaviour;
use crate::faults::{Fault, FaultId, Faults};
use crate::logs::Logs;
use crate::metrics::Usages;
use crate::resource::Resource;
use crate::rng::Rng;
use crate::snapshot::Snapshot;
use crate::store::{Event, Key, Stored, Table, Verb};
use crate::users::Users;
use crate::write_log::{Write, WriteLog};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Config {
    /// UIDs, suffixes and the moods of faults follow from it.
    pub seed: u64,
    /// Entries that each resource's log keeps; a watch from before the oldest gets 410. The real server keeps between 100
    /// and 102,400.
    pub log_entries: usize,
    /// Bytes of states that each resource's log keeps.
    pub log_bytes: usize,
    /// Whether the write log is kept, about 100 bytes for each write.
    pub keep_writes: bool,
    /// Whether requests without a token are those of an administrator; else they are `system:anonymous`.
    pub open: bool,
    /// Whether [`World::step`] runs the controllers.
    pub controllers: bool,
    /// What `/version` says.
    pub version: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 1,
            log_entries: 20_000,
            log_bytes: 256 << 20,
            keep_writes: true,
            open: true,
            controllers: true,
            // The version of the testbed, which the conformance suite compares with.
            version: "v1.37.2".to_owned(),
        }
    }
}

/// The whole state. It does nothing by itself: requests, steps and faults are calls.
#[derive(Debug)]
pub struct World {
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    pub(crate) revision: u64,
    pub(crate) tables: Vec<Table>,
    pub(crate) rng: Rng,
    pub(crate) writes: WriteLog,
    pub(crate) faults: Faults,
    pub(crate) logs: Logs,
    pub(crate) usages: Usages,
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    pub(crate) users: Users,
    pub(crate) rules: crate::rbac::Cache,
    /// Streams that were opened before this number changed are cut.
    pub(crate) connections: u64,
    pub(crate) kept: Option<Snapshot>,
    /// What controllers keep between steps.
    pub(crate) controllers: crate::controllers::Memory,
}

impl World {
    /// A cluster with the four namespaces that each cluster has, and the roles that they need.
    pub fn new(config: Config, now: Timestamp) -> World {
        let mut rng = Rng::new(config.seed);
        let faults = Faults::new(Rng::new(rng.bits()));
        let mut world = World {
            now,
            revision: 1,
            tables: Vec::new(),
            rng,
            writes: WriteLog::new(config.keep_writes),
            faults,
            logs: Logs::default(),
            usages: Usages::default(),
            behaviours: BTreeMap::new(),
            users: Users::default(),
            rules: crate::rbac::Cache::default(),
            connections: 0,
            kept: None,
            controllers: crate::controllers::Memory::default(),
            config,
        };
        for resource in crate::builtin::resources() {
            world.serve(resource);
        }
        crate::bootstrap::fill(&mut world);
        // A server's memory begins when it starts.
        world.compact();
        world
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The time by which it acts: of the last request, step or look at it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Every write there was: what a client that lost nothing must have seen.
    pub fn writes(&self) -> &WriteLog {
        &self.writes
    }

    /// The faults that are switched on.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Switches a fault on.
    pub fn fault(&mut self, fault: Fault) -> FaultId {
        let id = self.faults.on(fault);
        self.wake_all();
        id
    }

    /// Switches a fault off; `None`: all of them.
    pub fn fault_off(&mut self, id: Option<FaultId>) {
        self.faults.off(id);
        self.wake_all();
    }

    /// Serves one more resource; one that is served already gets its new description.
    pub(crate) fn serve(&mut self, resource: Resource) -> usize {
        if let Some(table) = self.table(&resource.group, &resource.plural) {
            self.tables[table].resource = Arc::new(resource);
            self.tables[table].wake.notify_waiters();
            return table;
        }
        self.tables.push(Table::new(resource, self.revision));
        self.tables.len() - 1
    }

    /// Serves it no longer; its objects go without a word, its watches end.
    pub(crate) fn withdraw(&mut self, group: &str, plural: &str) {
        if let Some(table) = self.table(group, plural) {
            self.tables[table].served = false;
            self.tables[table].objects.clear();
            self.tables[table].wake.notify_waiters();
        }
    }

    pub(crate) fn table(&self, group: &str, plural: &str) -> Option<usize> {
        self.tables
            .iter()
            .position(|table| table.served && table.resource.plural == plural && table.resource.group == group)
    }

    /// The resources that are served, in the order of discovery.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.tables.iter().filter(|table| table.served).map(|table| &*table.resource)
    }

    /// An object as JSON with its kind and version; `resource` is `pods`, `deployments.apps`; no namespace is `""`.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let table = &self.tables[self.named(resource)?];
        let stored = table.objects.get(&Key::new(namespace, name))?;
        Some(whole(&table.resource, table.resource.version(), stored.value()))
    }

    /// All objects of a resource in the order of lists.
    pub fn objects(&self, resource: &str) -> impl Iterator<Item = (&Key, &Stored)> {
        self.named(resource).into_iter().flat_map(|table| &self.tables[table].objects)
    }

    pub(crate) fn named(&self, resource: &str) -> Option<usize> {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        self.table(group, plural)
    }

    /// Stores a state of an object, whose `resourceVersion` becomes the next revision, and tells watches. The answer is
    /// the object as it is stored.
    pub(crate) fn put(&mut self, table: usize, key: Key, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let stored = Stored::of(&self.tables[table].resource, &object, self.revision);
        self.record(table, key, stored);
        object
    }

    /// Stores a state whose bytes are made by `make` for the next revision. The caller vouches for their form.
    pub(crate) fn put_bytes(&mut self, table: usize, key: Key, make: impl FnOnce(u64) -> Stored) {
        self.revision += 1;
        let stored = make(self.revision);
        self.record(table, key, stored);
    }

    fn record(&mut self, table: usize, key: Key, stored: Stored) {
        let (entries, bytes) = (self.config.log_entries, self.config.log_bytes);
        let revision = self.revision;
        let table = &mut self.tables[table];
        let mut old = table.objects.insert(key.clone(), stored.clone());
        // History is kept as bytes: taken apart it is ten times as large.
        if let Some(old) = &mut old {
            old.parsed = OnceLock::new();
        }
        let verb = if old.is_some() { Verb::Modified } else { Verb::Added };
        self.writes.push(|epoch| Write::of(epoch, revision, verb, &table.resource, &key, &stored));
        table.record(Event { revision, verb, key, old, now: stored }, entries, bytes);
    }

    /// Removes an object and tells watches.
    pub(crate) fn remove(&mut self, table: usize, key: &Key) -> Option<Stored> {
        let old = self.tables[table].objects.remove(key)?;
        self.revision += 1;
        let (entries, bytes, revision) = (self.config.log_entries, self.config.log_bytes, self.revision);
        let now = at_revision(&old, revision);
        let table = &mut self.tables[table];
        self.writes.push(|epoch| Write::of(epoch, revision, Verb::Deleted, &table.resource, key, &now));
        let event = Event { revision, verb: Verb::Deleted, key: key.clone(), old: Some(old), now: now.clone() };
        table.record(event, entries, bytes);
        Some(now)
    }

    /// Drops all history: watches that resume from an earlier revision get 410, and so do the tokens of lists.
    pub fn compact(&mut self) {
        let revision = self.revision;
        self.tables.iter_mut().for_each(|table| table.compact(revision));
    }

    /// Cuts every open connection in the middle.
    pub fn cut_all(&mut self) {
        self.connections += 1;
        self.wake_all();
    }

    /// The API server restarts: connections are cut, and it remembers nothing of the time before. Watches that resume from
    /// an earlier revision are answered 200 with a 410 in the stream.
    pub fn restart(&mut self) {
        self.compact();
        self.cut_all();
    }

    pub(crate) fn wake_all(&self) {
        self.tables.iter().for_each(|table| table.wake.notify_waiters());
        self.logs.wake.notify_waiters();
    }
}

/// The same state with another `resourceVersion`.
pub(crate) fn at_revision(stored: &Stored, revision: u64) -> Stored {
    let mut object = stored.value();
    object["metadata"]["resourceVersion"] = revision.to_string().into();
    Stored { bytes: crate::store::body(&object), revision, parsed: OnceLock::new(), ..stored.clone() }
}

/// The object with its kind and version.
pub(crate) fn whole(resource: &Resource, version: &str, mut object: Value) -> Value {
    if object.is_object() {
        object["kind"] = resource.kind.as_str().into();
        object["apiVersion"] = resource.api_version(version).into();
    }
    object
}

/// The bytes of an object with its kind and version.
pub(crate) fn whole_bytes(resource: &Resource, version: &str, bytes: &[u8]) -> Bytes {
    Bytes::from([resource.head(version).as_bytes(), &bytes[1..]].concat())
}

/// An owner reference that makes `owner` the controller.
pub(crate) fn controlled_by(api_version: &str, kind: &str, owner: &Value) -> Value {
    json!([{
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

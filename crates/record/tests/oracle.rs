//! A simulated cluster lives for an hour: what is told of it is held against its own log of writes.
//!
//! The judge looks at the JSON of each write before and after, leaf by leaf, and knows nothing of how the record compares.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and this one measures")]

mod feed;
mod hour;

use hour::{Hour, Plan};
use reckon_model::diff::{apply, diff};
use reckon_model::record::{Block, Fact, Written};
use reckon_model::{Kind, Object, ResourceRef, Verb};
use reckon_record::{Noise, written};
use reckon_sim::Past;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who an object is.
fn reference(past: &Past) -> ResourceRef {
    let text = |pointer: &str| past.after.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(&*past.key.namespace).filter(|namespace| !namespace.is_empty());
    ResourceRef {
        kind: Kind::of(text("/apiVersion"), text("/kind")),
        namespace: namespace.map(str::to_owned),
        name: past.key.name.to_string(),
        uid: None,
    }
}

/// The scalars of a value, by pointer.
fn leaves(value: &Value, at: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), into));
        }
        Value::Null => {}
        scalar => drop(into.insert(at.to_owned(), scalar.clone())),
    }
}

/// What nobody decided, by the beginning of the pointer.
const SAYS_NOTHING: [&str; 12] = [
    "/status",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/managedFields",
    "/metadata/uid",
    "/metadata/creationTimestamp",
    "/metadata/deletion",
    "/metadata/generateName",
    "/metadata/annotations/deployment.kubernetes.io~1revision",
    "/metadata/annotations/control-plane.alpha.kubernetes.io~1leader",
    "/metadata/name",
    "/kind",
];

/// The leaves that differ and that somebody decided.
fn decided(past: &Past) -> BTreeSet<String> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(past.before.as_ref().unwrap_or(&Value::Null), "", &mut old);
    leaves(&past.after, "", &mut new);
    let differ = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    let is_pod = past.resource == "pods";
    differ
        .filter(|key| !SAYS_NOTHING.iter().any(|start| key.starts_with(start)) && (!is_pod || *key != "/spec/nodeName"))
        .cloned()
        .collect()
}

fn controller(past: &Past) -> Option<&str> {
    past.after.pointer("/metadata/ownerReferences/0/kind").and_then(Value::as_str)
}

#[test]
fn every_decision_is_told_once_with_its_field_and_its_writer() {
    // Somebody decides something each twenty seconds.
    let judged = judge(&Plan { seed: 7, pods: 300, steps: 120, one_in: 2 });
    assert!(judged.decisions > 150, "{}", judged.decisions);
}

#[test]
fn of_what_a_watch_tells_of_a_thousand_pods_three_percent_are_kept_at_most() {
    // About twenty decisions an hour, four of them rollouts of ten pods. Leases, which nobody watches, are not counted.
    let Judged { decisions, survived, raw, .. } = judge(&Plan { seed: 1, pods: 1_000, steps: 120, one_in: 12 });
    assert!(decisions >= 20 && raw > 4_000, "{decisions} of {raw}");
    assert!(survived * 100 <= raw * 3, "{survived} of {raw}");
}

#[test]
fn so_it_is_in_other_clusters() {
    for seed in 100..106 {
        assert!(judge(&Plan { seed, pods: 80, steps: 60, one_in: 2 }).decisions > 50);
    }
}

#[test]
fn the_judge_finds_what_is_left_out_blamed_on_another_or_told_twice() {
    let spoils: [fn(&mut Vec<Written>); 4] = [
        Vec::clear,
        |told| told.iter_mut().for_each(|it| it.actor = None),
        |told| told.extend(told.clone()),
        |told| told.iter_mut().for_each(|it| it.fields.iter_mut().for_each(|field| field.pointer.push('x'))),
    ];
    for spoil in spoils {
        let mut count = 0;
        let judged = judge_spoilt(&Plan { seed: 3, pods: 60, steps: 60, one_in: 2 }, |told| {
            count += 1;
            if count % 7 == 0 {
                spoil(told);
            }
        });
        assert!(!judged.wrong.is_empty());
    }
}

#[test]
fn a_recorder_that_starts_again_after_an_hour_tells_only_that_nobody_watched() {
    let mut hour = Hour::new(&Plan { seed: 5, pods: 200, steps: 120, one_in: 3 });
    while hour.step().is_some() {}
    let told = hour.start_again();
    let words: BTreeSet<&str> = told.iter().map(|entry| entry.fact.word()).collect();
    assert_eq!(words, BTreeSet::from(["unseen"]), "{told:#?}");
}

struct Judged {
    wrong: Vec<String>,
    decisions: usize,
    survived: usize,
    raw: usize,
}

fn judge(plan: &Plan) -> Judged {
    let judged = judge_spoilt(plan, |_| {});
    let wrong = &judged.wrong;
    assert!(wrong.is_empty(), "{plan:?}: {} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    judged
}

/// Judges what was told, after somebody has changed some of it.
fn judge_spoilt(plan: &Plan, mut spoil: impl FnMut(&mut Vec<Written>)) -> Judged {
    let mut hour = Hour::new(plan);
    let mut wrong: Vec<String> = Vec::new();
    let mut decisions = 0;
    let mut untold = 0;
    let (mut raw, mut leases, mut survived) = (0, 0, 0);
    let mut facts: BTreeMap<String, usize> = BTreeMap::new();
    let mut states: BTreeMap<ResourceRef, Value> = BTreeMap::new();
    for entry in &hour.first {
        if let Fact::Seen(seen) = &entry.fact
            && let Some(object) = &seen.object
        {
            states.insert(entry.subject.clone(), object.clone());
        }
    }
    let mut all = Vec::new();
    let noise = Noise::default();
    while let Some(round) = hour.step() {
        raw += round.len();
        let mut written_last = BTreeMap::new();
        for (past, entries) in round {
            leases += usize::from(past.resource.starts_with("leases"));
            survived += entries.len();
            let of = reference(&past);
            let mut told = Vec::new();
            for entry in &entries {
                *facts.entry(entry.fact.word().to_owned()).or_default() += 1;
                if let Fact::Change(written) = &entry.fact {
                    assert_eq!(entry.subject, of);
                    told.push(written.clone());
                }
            }
            all.extend(entries);
            if !told.is_empty() {
                spoil(&mut told);
            }
            let decided = decided(&past);
            let kind = past.after["kind"].as_str().unwrap();
            let made = controller(&past).is_some() || matches!(kind, "Event" | "Lease" | "EndpointSlice" | "Endpoints");
            let scaled = past.resource.starts_with("replicasets");
            match past.verb {
                reckon_sim::Verb::Modified
                    if made || scaled || hour.autoscaled.contains(&past.revision) || decided.is_empty() =>
                {
                    // Labels and the like of controlled objects that people write are decisions, too.
                    let by_people = hour.wrote.contains_key(&past.revision)
                        && !hour.autoscaled.contains(&past.revision)
                        && !decided.is_empty();
                    if !by_people {
                        if !told.is_empty() {
                            wrong.push(format!("{of} {}: told without a decision: {told:?}", past.revision));
                        }
                        continue;
                    }
                }
                _ => {}
            }
            match past.verb {
                reckon_sim::Verb::Modified => {
                    decisions += 1;
                    let pointers: Vec<&str> =
                        told.iter().flat_map(|it| &it.fields).map(|field| field.pointer.as_str()).collect();
                    let covers = |pointer: &str, leaf: &str| {
                        leaf.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    };
                    untold += usize::from(told.is_empty());
                    for leaf in &decided {
                        let times = pointers.iter().filter(|pointer| covers(pointer, leaf)).count();
                        if times != 1 {
                            wrong
                                .push(format!("{of} {}: {leaf} is told {times} times, in {pointers:?}", past.revision));
                        }
                    }
                    for pointer in &pointers {
                        if !decided.iter().any(|leaf| covers(pointer, leaf)) {
                            wrong.push(format!("{of} {}: {pointer} did not change", past.revision));
                        }
                    }
                    let writer = hour.wrote.get(&past.revision);
                    for written in &told {
                        let (is, version) =
                            (written.actor.as_ref().map(|actor| &actor.manager), written.version.clone());
                        if is != writer || version != past.revision.to_string() || written.verb != Verb::Updated {
                            wrong.push(format!("{of} {}: by {writer:?}, told {written:?}", past.revision));
                        }
                    }
                }
                verb => {
                    let verb = if verb == reckon_sim::Verb::Added { Verb::Created } else { Verb::Deleted };
                    let right = told.len() == usize::from(!made)
                        && told.iter().all(|it| it.verb == verb && it.object.is_some());
                    decisions += usize::from(!made);
                    if !right {
                        wrong.push(format!("{of} {}: {verb:?} is told as {told:?}", past.revision));
                    }
                }
            }
            follow(&mut states, &of, &told);
            written_last.insert(of, past.revision);
        }
        // The state that is held against it is that after the whole round.
        for (of, revision) in written_last {
            if let (Some(state), Some(object)) = (states.get(&of), hour.feed.state.get(&of)) {
                let differ = differs(state, object, &noise, &hour);
                if !differ.is_empty() {
                    wrong.push(format!("{of} {revision}: as of now it differs in {differ:?}"));
                }
            }
        }
    }
    // What was held back comes in the end.
    hour.feed.pass(3_600);
    let rest = hour.feed.steps().entries;
    survived += rest.len();
    rest.iter().for_each(|entry| *facts.entry(entry.fact.word().to_owned()).or_default() += 1);
    all.extend(rest);
    let json: usize = all.iter().map(|entry| serde_json::to_vec(entry).unwrap().len()).sum();
    let packed: usize = Block::pack(&all).unwrap().iter().map(|block| block.bytes.len()).sum();
    println!(
        "{decisions} decisions, {untold} untold; {survived} of {raw} raw events survive ({:.2} %), {:.2} % of the {} that are no \
         leases; {facts:?}; {} bytes of JSON an entry, {} packed",
        share(survived, raw),
        share(survived, raw - leases),
        raw - leases,
        json / all.len(),
        packed / all.len(),
    );
    Judged { wrong, decisions, survived, raw: raw - leases }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// Does to the states what was told.
fn follow(states: &mut BTreeMap<ResourceRef, Value>, of: &ResourceRef, told: &[Written]) {
    for written in told {
        match written.verb {
            Verb::Created => drop(states.insert(of.clone(), written.object.clone().unwrap())),
            Verb::Deleted => drop(states.remove(of)),
            Verb::Updated => {
                if let Some(state) = states.get_mut(of) {
                    apply(state, &written.fields);
                }
            }
        }
    }
}

/// The fields in which what follows from what was told differs from what is, other than the number that an autoscaler set.
fn differs(state: &Value, object: &Object, noise: &Noise, hour: &Hour) -> Vec<String> {
    let scaled = |field: &str| field == "spec.replicas" && hour.scaled.contains(&object.meta.name);
    let fields = diff(state, &written(object, noise), "", "").into_iter().map(|field| field.field);
    fields.filter(|field| !scaled(field)).collect()
}

#[test]
fn the_same_hour_gives_the_same_bytes() {
    let bytes = || {
        let mut hour = Hour::new(&Plan { seed: 3, pods: 60, steps: 30, one_in: 2 });
        let mut bytes = Vec::new();
        while let Some(round) = hour.step() {
            round
                .iter()
                .flat_map(|(_, entries)| entries)
                .for_each(|entry| serde_json::to_writer(&mut bytes, entry).unwrap());
        }
        bytes
    };
    let first = bytes();
    assert!(first.len() > 10_000);
    assert!(first == bytes());
}

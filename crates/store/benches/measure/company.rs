//! A cluster's changes, made up: workloads are rolled out, their pods come and go under names of their own, some die, and
//! now and then somebody writes a ConfigMap.

use reckon_model::record::{Death, Entry, Fact, Folded, Phase, PhaseTurn, Rollout, RolloutState, Written};
use reckon_model::{Actor, ActorSource, FieldChange, Kind, ResourceRef, SignedDuration, Timestamp, Verb};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const NAMESPACES: usize = 20;
const WORKLOADS: usize = 200;
/// Things that go on at the same time.
const AT_ONCE: usize = 6;
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Marsaglia's xorshift: the same seed, the same changes.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 16) % end as u64).unwrap()
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(LETTERS[self.below(LETTERS.len())])).collect()
    }

    fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

pub(crate) fn begin() -> Timestamp {
    "2026-08-29T00:00:00Z".parse().unwrap()
}

pub(crate) struct Company {
    seed: u64,
}

impl Company {
    pub(crate) fn new(seed: u64) -> Company {
        Company { seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    fn workload_of(at: usize) -> (String, String) {
        const NAMES: [&str; 10] =
            ["checkout", "ledger", "search", "mail", "catalog", "payments", "gateway", "sessions", "stock", "billing"];
        (format!("team-{}", at % NAMESPACES), format!("{}-{}", NAMES[at % 10], at / 10))
    }

    pub(crate) fn workload(&self, dice: &mut Dice) -> (String, String) {
        Company::workload_of(dice.below(WORKLOADS))
    }

    pub(crate) fn entries(&self, count: usize, time: SignedDuration) -> Vec<Entry> {
        let mut dice = Dice(self.seed);
        let step = time.as_millis() as f64 / count as f64;
        let mut stories: Vec<VecDeque<Entry>> = Vec::new();
        let mut entries = Vec::with_capacity(count);
        while entries.len() < count {
            while stories.len() < AT_ONCE {
                stories.push(story(&mut dice));
            }
            let at = dice.below(stories.len());
            let Some(mut entry) = stories[at].pop_front() else {
                stories.remove(at);
                continue;
            };
            let ms = (entries.len() as f64 * step + dice.below(1 + step as usize) as f64) as i64;
            entry.at = begin() + SignedDuration::from_millis(ms);
            entries.push(entry);
        }
        entries
    }
}

fn story(dice: &mut Dice) -> VecDeque<Entry> {
    let (namespace, name) = Company::workload_of(dice.below(WORKLOADS));
    let uid = format!("{:08x}-1111-4222-8333-{:012x}", name.len() * 7_919, namespace.len() * 104_729);
    let workload = ResourceRef { uid: Some(uid), ..ResourceRef::new(Kind::Deployment, Some(&namespace), &name) };
    match dice.below(10) {
        0..5 => rollout(dice, &workload),
        5..8 => crash(dice, &workload),
        _ => config(dice, &namespace, &name),
    }
}

fn entry(subject: ResourceRef, workload: Option<&ResourceRef>, fact: Fact) -> Entry {
    Entry { at: begin(), subject, workload: workload.cloned(), fact }
}

fn pod(dice: &mut Dice, workload: &ResourceRef, hash: &str) -> ResourceRef {
    let name = format!("{}-{hash}-{}", workload.name, dice.letters(5));
    ResourceRef { uid: Some(dice.uid()), ..ResourceRef::new(Kind::Pod, workload.namespace.as_deref(), &name) }
}

fn node(dice: &mut Dice) -> Option<String> {
    Some(format!("ip-10-0-{}-{}.eu-central-1.compute.internal", dice.below(4), dice.below(60)))
}

fn write(dice: &mut Dice, fields: Vec<FieldChange>, manager: &str, object: Option<Value>) -> Fact {
    Fact::Change(Written {
        verb: Verb::Updated,
        fields,
        actor: Some(Actor { manager: manager.to_owned(), user: None, source: ActorSource::ManagedFields }),
        generation: Some(dice.below(300) as i64),
        version: (100_000_000 + dice.below(900_000_000)).to_string(),
        object,
        after: None,
    })
}

fn rollout(dice: &mut Dice, workload: &ResourceRef) -> VecDeque<Entry> {
    let image = |tag: String| format!("registry.example.com/{}/{}:{tag}", workload.namespace(), workload.name);
    let (old, new) = (
        image(format!("1.{}.{}", dice.below(40), dice.below(9))),
        image(format!("1.{}.{}", dice.below(40), dice.below(9))),
    );
    let field = FieldChange {
        field: "spec.template.spec.containers[app].image".to_owned(),
        pointer: "/spec/template/spec/containers/0/image".to_owned(),
        from: Some(json!(old)),
        to: Some(json!(new)),
    };
    let key_state = dice.below(20) == 0;
    let object = key_state.then(|| {
        json!({"metadata": {"name": workload.name, "namespace": workload.namespace(), "labels": {"app": workload.name}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": workload.name}}, "template": {"metadata":
            {"labels": {"app": workload.name}}, "spec": {"containers": [{"name": "app", "image": new, "resources":
            {"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "512Mi"}}, "env":
            [{"name": "LOG", "value": "info"}, {"name": "PORT", "value": "8080"}]}]}}}})
    });
    let revision = dice.below(400);
    let turn = |state| {
        Fact::Rollout(Rollout {
            state,
            to: revision.to_string(),
            from: Some((revision - revision.min(1)).to_string()),
            images: BTreeMap::from([("app".to_owned(), (Some(old.clone()), Some(new.clone())))]),
            fields: Vec::new(),
            actor: None,
            why: None,
        })
    };
    let mut story = VecDeque::new();
    story.push_back(entry(workload.clone(), None, write(dice, vec![field], "argocd-controller", object)));
    story.push_back(entry(workload.clone(), None, turn(RolloutState::Started)));
    let (before, after) = (format!("{}{}", dice.letters(5), dice.letters(5)), dice.letters(10));
    for _ in 0..3 {
        let (there, here) = (pod(dice, workload, &after), pod(dice, workload, &before));
        let (on, off) = (node(dice), node(dice));
        let phase =
            |to, from, node: &Option<String>| Fact::Phase(PhaseTurn { to, from, node: node.clone(), reason: None });
        for (of, fact) in [
            (&there, phase(Phase::Pending, None, &None)),
            (&there, phase(Phase::Starting, Some(Phase::Pending), &on)),
            (&there, phase(Phase::Ready, Some(Phase::Starting), &on)),
            (&here, phase(Phase::Terminating, Some(Phase::Ready), &off)),
            (&here, phase(Phase::Deleted, Some(Phase::Terminating), &off)),
        ] {
            story.push_back(entry(of.clone(), Some(workload), fact));
        }
    }
    story.push_back(entry(workload.clone(), None, turn(RolloutState::Done)));
    story
}

fn crash(dice: &mut Dice, workload: &ResourceRef) -> VecDeque<Entry> {
    let hash = dice.letters(10);
    let of = pod(dice, workload, &hash);
    let killed = dice.below(12) == 0;
    let on = node(dice);
    let death = Fact::Death(Death {
        container: "app".to_owned(),
        reason: if killed { "OOMKilled" } else { "Error" }.to_owned(),
        exit_code: if killed { 137 } else { 1 },
        started: Some(begin()),
        restarts: u32::try_from(dice.below(9)).unwrap(),
        untold: 0,
        node: on.clone(),
    });
    let phase = |to, from, reason: Option<&str>| {
        Fact::Phase(PhaseTurn { to, from: Some(from), node: on.clone(), reason: reason.map(str::to_owned) })
    };
    let event = Fact::Event(Folded {
        reason: "BackOff".to_owned(),
        message: format!(
            "Back-off restarting failed container app in pod {}_{}({})",
            of.name,
            of.namespace(),
            of.uid.as_deref().unwrap()
        ),
        warning: true,
        count: 1 + dice.below(40) as u64,
        first: begin(),
        component: "kubelet".to_owned(),
    });
    let facts = [
        death,
        phase(Phase::NotReady, Phase::Ready, Some("CrashLoopBackOff")),
        event,
        phase(Phase::Ready, Phase::NotReady, None),
    ];
    facts.into_iter().map(|fact| entry(of.clone(), Some(workload), fact)).collect()
}

fn config(dice: &mut Dice, namespace: &str, name: &str) -> VecDeque<Entry> {
    let of = ResourceRef {
        uid: Some(dice.uid()),
        ..ResourceRef::new(Kind::ConfigMap, Some(namespace), &format!("{name}-config"))
    };
    let key = ["timeout", "pool.size", "feature.cart", "log.level"][dice.below(4)];
    let field = FieldChange {
        field: format!("data[{key}]"),
        pointer: format!("/data/{key}"),
        from: Some(json!(dice.below(1_000).to_string())),
        to: Some(json!(dice.below(1_000).to_string())),
    };
    VecDeque::from([entry(of, None, write(dice, vec![field], "kubectl-edit", None))])
}

//! What is done once with every object that comes in: secrets out, and what others have alike united with theirs.

use crate::{clock, redact};
use reckon_model::k8s::{
    Affinity, Condition, Container, ContainerState, ContainerStatus, MadeOf, Pod, PodSpec, PodStatus, PodTemplate,
    PodWords, Resources, Words,
};
use reckon_model::object::{Owner, Writer};
use reckon_model::selector::LabelSelector;
use reckon_model::shared::digest;
use reckon_model::{Body, Object, Shared, Specs};
use std::collections::BTreeMap;
use std::hash::Hash;

/// What is known once, however many objects say it. Only what has been redacted gets in; so what is found here needs no
/// second look, which for a pod that only became ready is nearly all of it.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    versions: Pool<String>,
    maps: Pool<BTreeMap<String, String>>,
    lists: Pool<Vec<String>>,
    owners: Pool<Vec<Owner>>,
    writers: Pool<Writer>,
    words: Pool<Words>,
    pod_words: Pool<PodWords>,
    specs: Pool<PodSpec>,
    affinities: Pool<Affinity>,
    resources: Pool<Resources>,
    made_of: Pool<MadeOf>,
    states: Pool<ContainerState>,
    selectors: Pool<LabelSelector>,
    /// What specs were decoded from: of most pods one that is here already.
    pub(crate) decoded: Specs,
}

impl Intake {
    /// Redacts an object and unites its parts with those of others, first of all with those of the object that had its
    /// name before: most changes leave most of them alone.
    pub(crate) fn take(&mut self, mut object: Object, before: Option<&Object>) -> Object {
        let was = before.map(|before| &before.meta);
        let Object { kind: _, api_version, meta, body, whole } = &mut object;
        self.versions.unite(api_version, before.map(|before| &before.api_version), |_| {});
        // Who follows a kind compares versions; no rule does.
        meta.resource_version = String::new();
        shrink(&mut meta.name);
        shrink(&mut meta.uid);
        if let Some(namespace) = &mut meta.namespace {
            shrink(namespace);
        }
        self.maps.unite(&mut meta.labels, was.map(|was| &was.labels), |_| {});
        // Apart from labels: these may hold secrets, and a map that is both would be taken for a redacted one.
        redact::annotations(&mut meta.annotations);
        self.maps.unite(&mut meta.annotations, was.map(|was| &was.annotations), |_| {});
        self.owners.unite(&mut meta.owners, was.map(|was| &was.owners), |_| {});
        self.lists.unite(&mut meta.finalizers, was.map(|was| &was.finalizers), |_| {});
        for (at, manager) in meta.managers.iter_mut().enumerate() {
            let was = was.and_then(|was| was.managers.get(at)).map(|was| &was.who);
            self.writers.unite(&mut manager.who, was, |_| {});
        }
        match body {
            Body::Pod(pod) => clock::set_right(meta, &mut pod.status),
            Body::Event(event) => clock::set_event_right(meta, event),
            _ => {}
        }
        match body {
            Body::Pod(pod) => self.pod(pod, before.and_then(Object::pod).map(|before| &before.status)),
            Body::Workload(workload) => {
                self.selectors.unite(&mut workload.spec.selector, None, |_| {});
                self.template(&mut workload.spec.template);
                self.conditions(&mut workload.status.conditions, &[]);
            }
            Body::CronJob(cron) => self.template(&mut cron.spec.job_template.spec.template),
            Body::Node(node) => self.conditions(&mut node.status.conditions, &[]),
            Body::Claim(claim) => self.conditions(&mut claim.status.conditions, &[]),
            Body::Autoscaler(scaler) => self.conditions(&mut scaler.status.conditions, &[]),
            other => redact::body(other),
        }
        if let Some(all) = whole.take() {
            *whole = Some(all.packed_after(redact::object));
        }
        object
    }

    fn pod(&mut self, pod: &mut Pod, was: Option<&PodStatus>) {
        let is_ready = pod.is_ready();
        let Pod { spec, status } = pod;
        shrink(&mut spec.node_name);
        if !self.decoded.knows(spec) {
            if is_ready && spec.token_names().next().is_some() {
                spec.common.one_token_volume();
            }
            let Intake { specs, affinities, resources, .. } = self;
            specs.unite(&mut spec.common, None, |spec| parts(spec, affinities, resources));
            self.decoded.remember(spec);
        }
        let PodStatus {
            words,
            conditions,
            container_statuses,
            init_container_statuses,
            ephemeral_container_statuses,
            start_time: _,
            pod_ip: _,
        } = status;
        self.pod_words.unite(words, was.map(|was| &was.words), |words| redact::in_place(&mut words.message));
        self.conditions(conditions, was.map_or(&[], |was| &was.conditions));
        let groups = [
            (container_statuses, was.map(|was| &was.container_statuses)),
            (init_container_statuses, was.map(|was| &was.init_container_statuses)),
            (ephemeral_container_statuses, was.map(|was| &was.ephemeral_container_statuses)),
        ];
        for (statuses, was) in groups {
            for (at, ContainerStatus { made_of, state, last_state, .. }) in statuses.iter_mut().enumerate() {
                let was = was.and_then(|was| was.get(at));
                self.made_of.unite(made_of, was.map(|was| &was.made_of), |_| {});
                redact::container_state(state);
                self.states.unite(last_state, was.map(|was| &was.last_state), redact::container_state);
            }
        }
    }

    fn template(&mut self, template: &mut PodTemplate) {
        self.maps.unite(&mut template.metadata.labels, None, |_| {});
        redact::annotations(&mut template.metadata.annotations);
        self.maps.unite(&mut template.metadata.annotations, None, |_| {});
        let Intake { specs, affinities, resources, .. } = self;
        specs.unite(&mut template.spec, None, |spec| parts(spec, affinities, resources));
    }

    fn conditions(&mut self, conditions: &mut [Condition], was: &[Condition]) {
        for (at, condition) in conditions.iter_mut().enumerate() {
            let was = was.get(at).map(|was| &was.words);
            self.words.unite(&mut condition.words, was, |words| redact::in_place(&mut words.message));
        }
    }
}

/// Redacts a spec that nobody had before, unites what it is made of, and gives back what the decoder took too much.
fn parts(spec: &mut PodSpec, affinities: &mut Pool<Affinity>, resources: &mut Pool<Resources>) {
    redact::pod_spec(spec);
    affinities.unite(&mut spec.affinity, None, |_| {});
    resources.unite(&mut spec.resources, None, |_| {});
    let PodSpec { containers, init_containers, ephemeral_containers, volumes, tolerations, .. } = spec;
    volumes.shrink_to_fit();
    tolerations.shrink_to_fit();
    for containers in [containers, init_containers, ephemeral_containers] {
        containers.shrink_to_fit();
        for Container { resources: own, command, args, env, ports, volume_mounts, .. } in containers {
            resources.unite(own, None, |_| {});
            command.shrink_to_fit();
            args.shrink_to_fit();
            env.shrink_to_fit();
            ports.shrink_to_fit();
            volume_mounts.shrink_to_fit();
        }
    }
}

/// Gives back what the decoder took too much.
fn shrink(text: &mut String) {
    text.shrink_to_fit();
}

/// Values of one type, each once.
#[derive(Debug)]
struct Pool<T> {
    by_digest: BTreeMap<u64, Vec<Shared<T>>>,
    /// With how many digests the next look for what nobody has any more begins.
    full: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { by_digest: BTreeMap::new(), full: FULL }
    }
}

/// Below so many it is not worth looking.
const FULL: usize = 1024;

impl<T: Clone + Hash + PartialEq> Pool<T> {
    /// Makes the value one with an equal one, if there is one, looking first at the likeliest; else settles it and keeps it
    /// for the next. What is settled must settle to itself: it is found unsettled.
    fn unite(&mut self, value: &mut Shared<T>, likely: Option<&Shared<T>>, settle: impl FnOnce(&mut T)) {
        if let Some(likely) = likely.filter(|likely| *likely == value) {
            *value = likely.clone();
            return;
        }
        let key = digest(&**value);
        if let Some(known) = self.find(key, value) {
            *value = known;
            return;
        }
        settle(value);
        let key = digest(&**value);
        if let Some(known) = self.find(key, value) {
            *value = known;
            return;
        }
        self.by_digest.entry(key).or_default().push(value.clone());
        if self.by_digest.len() > self.full {
            self.by_digest.retain(|_, values| {
                values.retain(|value| !value.is_alone());
                !values.is_empty()
            });
            self.full = FULL.max(self.by_digest.len() * 2);
        }
    }

    fn find(&self, key: u64, value: &Shared<T>) -> Option<Shared<T>> {
        self.by_digest.get(&key)?.iter().find(|known| *known == value).cloned()
    }
}

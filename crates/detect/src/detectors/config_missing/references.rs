//! Every place of a pod spec that names a ConfigMap or Secret.

use super::words::Lack;
use crate::spot::{Path, Spot};
use reckon_model::Kind;
use reckon_model::k8s::{ContainerType, ObjectSource, Pod};

/// The part of a pod that needs something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A container, for its variables.
    Container(String, ContainerType),
    /// A volume.
    Volume(String),
}

/// One place that names an object, and maybe a key of it.
pub(super) struct Reference {
    pub(super) holder: Holder,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) key: Option<String>,
    pub(super) optional: bool,
    /// Where the object is named.
    pub(super) object: Path,
    /// Where the key is.
    pub(super) at_key: Option<Path>,
    /// The variable it is for, and the field of its source.
    pub(super) variable: Option<(String, &'static str)>,
}

impl Reference {
    /// Whether this is what is missing.
    pub(super) fn lacks(&self, lack: &Lack) -> bool {
        match lack {
            Lack::Object { kind, name } => self.kind == *kind && self.name == *name,
            Lack::Key { kind, name, key } => {
                self.kind == *kind && self.name == *name && self.key.as_deref() == Some(key)
            }
            Lack::VolumeKey { kind, key } => self.kind == *kind && self.key.as_deref() == Some(key),
        }
    }
}

/// The parts of a pod whose volumes come from ConfigMaps or Secrets, cheaply: what decides whether to ask for Events.
pub(super) fn of(pod: &Pod) -> impl Iterator<Item = Holder> {
    pod.spec
        .volumes
        .iter()
        .filter(|volume| {
            volume.config_map.is_some()
                || volume.secret.is_some()
                || volume.projected.as_ref().is_some_and(|projected| {
                    projected.sources.iter().any(|source| source.config_map.is_some() || source.secret.is_some())
                })
        })
        .map(|volume| Holder::Volume(volume.name.clone()))
}

/// All references of a pod spec, in its order.
pub(super) fn all(spot: &Spot<'_>) -> Vec<Reference> {
    let mut all = Vec::new();
    for (kind, container) in spot.spec.all_containers() {
        let Some(place) = spot.container(&container.name) else { continue };
        let holder = Holder::container(&container.name, kind);
        for (index, variable) in container.env.iter().enumerate() {
            let Some(source) = &variable.value_from else { continue };
            for (kind, part, key) in [
                (Kind::ConfigMap, "configMapKeyRef", &source.config_map_key_ref),
                (Kind::Secret, "secretKeyRef", &source.secret_key_ref),
            ] {
                let Some(key) = key else { continue };
                let path = place.key("env").item(&variable.name, index).key("valueFrom").key(part);
                all.push(Reference {
                    holder: holder.clone(),
                    kind,
                    name: key.name.clone(),
                    key: Some(key.key.clone()),
                    optional: key.optional,
                    object: path.key("name"),
                    at_key: Some(path.key("key")),
                    variable: Some((variable.name.clone(), part)),
                });
            }
        }
        for (index, from) in container.env_from.iter().enumerate() {
            for (kind, part, source) in
                [(Kind::ConfigMap, "configMapRef", &from.config_map_ref), (Kind::Secret, "secretRef", &from.secret_ref)]
            {
                let Some(source) = source else { continue };
                let path = place.key("envFrom").item(&index.to_string(), index).key(part);
                all.extend(whole(&holder, kind, source, &path, "name"));
            }
        }
    }
    for volume in &spot.spec.volumes {
        let Some(place) = spot.volume(&volume.name) else { continue };
        let holder = Holder::Volume(volume.name.clone());
        if let Some(source) = &volume.config_map {
            all.extend(whole(&holder, Kind::ConfigMap, source, &place.key("configMap"), "name"));
        }
        if let Some(source) = &volume.secret {
            all.extend(whole(&holder, Kind::Secret, source, &place.key("secret"), "secretName"));
        }
        for (index, source) in volume.projected.iter().flat_map(|projected| &projected.sources).enumerate() {
            let path = place.key("projected").key("sources").item(&index.to_string(), index);
            if let Some(source) = &source.config_map {
                all.extend(whole(&holder, Kind::ConfigMap, source, &path.key("configMap"), "name"));
            }
            if let Some(source) = &source.secret {
                all.extend(whole(&holder, Kind::Secret, source, &path.key("secret"), "name"));
            }
        }
    }
    all
}

/// An object named as a whole, and those of its keys that are named one by one.
fn whole(holder: &Holder, kind: Kind, source: &ObjectSource, path: &Path, name: &str) -> Vec<Reference> {
    let reference = |key: Option<String>, at_key: Option<Path>| Reference {
        holder: holder.clone(),
        kind: kind.clone(),
        name: source.name.clone(),
        key,
        optional: source.optional,
        object: path.key(name),
        at_key,
        variable: None,
    };
    let mut all = vec![reference(None, None)];
    all.extend(source.items.iter().enumerate().map(|(index, item)| {
        reference(Some(item.key.clone()), Some(path.key("items").item(&index.to_string(), index).key("key")))
    }));
    all
}

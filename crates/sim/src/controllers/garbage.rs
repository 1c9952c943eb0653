//! What goes with its owner, and with its namespace.

use super::{ending, has, name};
use crate::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn run(world: &mut World) {
    namespaces(world);
    let uids: BTreeSet<String> =
        world.tables.iter().flat_map(|table| table.objects.values()).map(|stored| stored.uid.to_string()).collect();
    for table in 0..world.tables.len() {
        let objects = world.tables[table].objects.iter().filter(|(_, stored)| has(stored, "\"ownerReferences\""));
        let orphans: Vec<Key> = objects
            .filter(|(_, stored)| {
                let object = stored.shared();
                let owners = object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
                let gone = |owner: &Value| !owner["uid"].as_str().is_some_and(|uid| uids.contains(uid));
                !owners.is_empty() && owners.iter().all(gone) && !ending(&object)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in orphans {
            let _ = world.delete_plainly(table, &key, None);
        }
    }
    finalizers(world);
}

/// Owners that wait for their dependents: to be gone, or to be let go.
fn finalizers(world: &mut World) {
    for table in 0..world.tables.len() {
        let waiting: Vec<(Key, Value)> = world.tables[table]
            .objects
            .iter()
            .filter(|(_, stored)| has(stored, "deletionTimestamp"))
            .map(|(key, stored)| (key.clone(), stored.value()))
            .collect();
        for (key, owner) in waiting {
            let holds =
                |word: &str| owner["metadata"]["finalizers"].as_array().is_some_and(|all| all.contains(&json!(word)));
            let (orphan, foreground) = (holds("orphan"), holds("foregroundDeletion"));
            if !orphan && !foreground {
                continue;
            }
            let dependents = dependents(world, owner["metadata"]["uid"].as_str().unwrap_or_default());
            if orphan {
                for (of, dependent, _) in &dependents {
                    let resource = world.tables[*of].resource.qualified();
                    world.edit(&resource, &dependent.namespace, &dependent.name, "kube-controller-manager", |object| {
                        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                            owners.retain(|reference| reference["uid"] != owner["metadata"]["uid"]);
                        }
                    });
                }
            } else {
                for (of, dependent, dying) in &dependents {
                    if !dying {
                        let _ = world.delete_plainly(*of, dependent, None);
                    }
                }
                if !dependents.is_empty() {
                    continue;
                }
            }
            let resource = world.tables[table].resource.qualified();
            world.edit(&resource, &key.namespace, &key.name, "kube-controller-manager", |object| {
                if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
                    all.retain(|word| word != "orphan" && word != "foregroundDeletion");
                }
            });
        }
    }
}

/// What names an owner, and whether it is ending already.
fn dependents(world: &World, uid: &str) -> Vec<(usize, Key, bool)> {
    let mut found = Vec::new();
    for (i, table) in world.tables.iter().enumerate() {
        for (key, stored) in &table.objects {
            if has(stored, uid) {
                let object = stored.shared();
                let owners = object["metadata"]["ownerReferences"].as_array();
                if owners.into_iter().flatten().any(|owner| owner["uid"] == uid) {
                    found.push((i, key.clone(), ending(&object)));
                }
            }
        }
    }
    found
}

fn namespaces(world: &mut World) {
    let Some(spaces) = world.named("namespaces") else { return };
    for space in world.all("namespaces") {
        let space_name = name(&space).to_owned();
        if !ending(&space) {
            // What each namespace has.
            if world.get("serviceaccounts", &space_name, "default").is_none() {
                let account = json!({"metadata": {"name": "default", "namespace": space_name}});
                let _ = world.create_as("serviceaccounts", account, "kube-controller-manager");
            }
            continue;
        }
        let mut left = 0;
        for table in 0..world.tables.len() {
            if !world.tables[table].resource.namespaced {
                continue;
            }
            let keys: Vec<Key> =
                world.tables[table].range(Some(&space_name), None).map(|(key, _)| key.clone()).collect();
            for key in keys {
                let gone = matches!(world.delete_plainly(table, &key, None), Ok(crate::delete::Outcome::Gone(_)));
                left += usize::from(!gone);
            }
        }
        if left == 0 {
            world.remove_object(spaces, &Key::new("", &space_name));
        }
    }
}

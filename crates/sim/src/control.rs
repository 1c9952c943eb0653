//! Faults by HTTP, below `/sim`: for demonstrations and for tests in other processes. The listener serves loopback only.
//!
//! | request | does |
//! |---|---|
//! | `GET /sim/faults` | what is switched on |
//! | `POST /sim/faults` | switches a [`Fault`] on |
//! | `DELETE /sim/faults`, `DELETE /sim/faults/ID` | switches all, or one, off |
//! | `POST /sim/restart`, `/sim/compact`, `/sim/cut` | what happens at once |
//! | `POST /sim/snapshot`, `/sim/restore` | keeps the state; puts it back |
//! | `POST /sim/nodes/NODE/lose`, `/sim/nodes/NODE/revive` | takes a node away; brings it back |
//! | `POST /sim/recreate/RESOURCE/NAMESPACE/NAME` | puts another object in one's place |
//! | `POST /sim/storm/RESOURCE/COUNT` | changes objects of a resource so many times |
//! | `GET /sim/writes` | how many writes there were, and the revision |

use crate::body::Answer;
use crate::faults::{Fault, FaultId};
use crate::request::Call;
use crate::status::ApiError;
use crate::world::World;
use serde_json::{Value, json};

/// Answers what lies below `/sim`; `None` for other paths.
pub(crate) fn called(world: &mut World, call: &Call) -> Option<Result<Answer, ApiError>> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["sim", rest @ ..] = segments.as_slice() else { return None };
    let done = || Answer::json(200, &json!({}));
    Some(Ok(match (call.method.as_str(), rest) {
        ("GET", ["faults"]) => {
            let active = world.faults().active().iter();
            let list: Vec<Value> = active.map(|(id, fault)| json!({"id": id, "fault": fault})).collect();
            Answer::json(200, &json!({"faults": list, "struck": world.faults().struck()}))
        }
        ("POST", ["faults"]) => match serde_json::from_slice::<Fault>(&call.body) {
            Ok(fault) => Answer::json(201, &json!({"id": world.fault(fault)})),
            Err(error) => return Some(Err(ApiError::bad_request(format!("this is no fault: {error}")))),
        },
        ("DELETE", ["faults"]) => {
            world.fault_off(None);
            done()
        }
        ("DELETE", ["faults", id]) => match id.parse() {
            Ok(id) => {
                world.fault_off(Some(FaultId(id)));
                done()
            }
            Err(_) => return Some(Err(ApiError::bad_request("the id of a fault is a number"))),
        },
        ("POST", ["restart"]) => {
            world.restart();
            done()
        }
        ("POST", ["compact"]) => {
            world.compact();
            done()
        }
        ("POST", ["cut"]) => {
            world.cut_all();
            done()
        }
        ("POST", ["snapshot"]) => {
            world.keep_snapshot();
            Answer::json(200, &json!({"revision": world.revision()}))
        }
        ("POST", ["restore"]) => {
            if !world.restore_kept() {
                return Some(Err(ApiError::bad_request("no state was kept")));
            }
            Answer::json(200, &json!({"revision": world.revision()}))
        }
        ("POST", ["nodes", node, "lose"]) => {
            world.lose_node(node);
            done()
        }
        ("POST", ["nodes", node, "revive"]) => {
            world.revive_node(node);
            done()
        }
        ("POST", ["recreate", resource, namespace, name]) => match world.recreate(resource, namespace, name) {
            Ok(made) => Answer::json(201, &made),
            Err(error) => return Some(Err(error)),
        },
        ("POST", ["storm", resource, count]) => match count.parse() {
            Ok(count) => {
                world.storm(resource, count);
                done()
            }
            Err(_) => return Some(Err(ApiError::bad_request("the count of a storm is a number"))),
        },
        ("GET", ["writes"]) => {
            Answer::json(200, &json!({"writes": world.writes().count(), "revision": world.revision()}))
        }
        _ => return Some(Err(ApiError::no_such_resource())),
    }))
}

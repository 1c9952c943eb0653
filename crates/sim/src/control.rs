//! Faults by HTTP, below `/sim`: for demonstrations and for tests in other processes. The listener serves loopback only.
//!
//! | request | does |
//! |---|---|
//! | `GET /sim/faults` | what is switched on |
//! | `POST /sim/faults` | switches a [`Fault`] on |
//! | `DELETE /sim/faults`, `DELETE /sim/faults/ID` | switches all, or one, off |
//! | `POST /sim/restart`, `/sim/compact`, `/sim/cut` | what happens at once |
//! | `POST /sim/snapshot`, `/sim/restore` | keeps the state; puts it back |
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
        ("GET", ["writes"]) => {
            Answer::json(200, &json!({"writes": world.writes().count(), "revision": world.revision()}))
        }
        _ => return Some(Err(ApiError::no_such_resource())),
    }))
}

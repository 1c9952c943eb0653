//! The API server's own record of what was asked of it.

use reckon_model::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

const LOG: &str = "/run/reckon-testbed/audit.log";

/// A request that was answered to its end.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) code: u64,
    pub(crate) received: Timestamp,
    pub(crate) ended: Timestamp,
}

/// What this user has asked since then, in the order of arrival.
pub(crate) fn asked_by(user: &str, since: Timestamp) -> Vec<Asked> {
    let log = std::fs::read_to_string(LOG).unwrap();
    // The last line may not be all there yet.
    let events =
        log.lines().filter(|line| line.contains(user)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut asked: Vec<Asked> = events
        .filter(|event| event["user"]["username"] == user && event["stage"] == "ResponseComplete")
        .map(|event| {
            let time = |field: &str| event[field].as_str().unwrap().parse().unwrap();
            Asked {
                verb: event["verb"].as_str().unwrap_or_default().to_owned(),
                resource: event["objectRef"]["resource"].as_str().unwrap_or_default().to_owned(),
                code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                received: time("requestReceivedTimestamp"),
                ended: time("stageTimestamp"),
            }
        })
        .filter(|asked| asked.received >= since)
        .collect();
    asked.sort_by_key(|asked| asked.received);
    asked
}

/// How many were refused with 429, and the most of one resource within any second.
pub(crate) fn refused(asked: &[Asked]) -> (usize, usize) {
    let mut by_resource: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    let refused = asked.iter().filter(|asked| asked.code == 429);
    refused.clone().for_each(|asked| by_resource.entry(&asked.resource).or_default().push(asked.received));
    let within = |times: &[Timestamp], i: usize| {
        times[i..].iter().take_while(|at| at.duration_since(times[i]).as_millis() < 900).count()
    };
    let most = by_resource.values().flat_map(|times| (0..times.len()).map(|i| within(times, i))).max();
    (refused.count(), most.unwrap_or_default())
}

/// The most lists that were answered at the same time.
pub(crate) fn side_by_side(asked: &[Asked]) -> usize {
    let lists: Vec<&Asked> = asked.iter().filter(|asked| asked.verb == "list").collect();
    let at = |moment: Timestamp| lists.iter().filter(|list| list.received <= moment && moment < list.ended).count();
    lists.iter().map(|list| at(list.received)).max().unwrap_or_default()
}

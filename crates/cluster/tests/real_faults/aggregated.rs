//! An aggregated API whose server is not there: one kind has an error, the others do not notice.

use crate::testbed::{Testbed, kubeconfig};
use crate::told::{Following, State, Told};
use crate::writes::Writer;
use crate::{KINDS, connect};
use reckon_model::{Kind, Timestamp};
use std::time::Duration;

/// As metrics servers and the like are registered; nobody is there.
const NOWHERE: &str = "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.nowhere.reckon.test}\n\
    spec: {group: nowhere.reckon.test, version: v1, service: {name: nobody, namespace: default}, insecureSkipTLSVerify: true, groupPriorityMinimum: 1000, versionPriority: 10}\n";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn an_aggregated_api_that_is_down_is_told_and_others_are_unaffected() {
    let mut testbed = Testbed::for_test("aggregated");
    let writer = Writer::new(testbed.namespace()).await;
    testbed.apply(NOWHERE);
    let thing = Kind::of_group("nowhere.reckon.test", "Thing");
    let mut kinds = KINDS.to_vec();
    kinds.insert(0, thing.clone());
    let begun = Timestamp::now();
    let following = Following::begin(&connect(kubeconfig()).await, kinds, testbed.namespace());
    following.listed(KINDS).await;
    let refused = |told: &Told| told.first(&thing, begun, |state| matches!(state, State::Refused(_))).is_some();
    following.until("the kind that is down is told", Duration::from_secs(60), refused).await;
    writer.some("meanwhile", 200).await;
    let seen = following.settled(&writer).await;
    // One look at the newest version, and one page, of each kind.
    tokio::time::sleep(Duration::from_secs(40)).await;
    writer.some("later", 50).await;
    assert!(seen == 200, "{seen} of 200 told");
    following.settled(&writer).await;
    let told = following.told();
    assert!(told.gaps.is_empty(), "{:?}", told.gaps);
    let others = told.states.iter().filter(|(_, kind, state)| *kind != thing && *state != State::Listed);
    assert_eq!(others.count(), 0, "{:?}", told.states);
    eprintln!("aggregated: {:?}", told.states.iter().filter(|(_, kind, _)| *kind == thing).collect::<Vec<_>>());
}

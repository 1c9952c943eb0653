//! An API server whose etcd is gone: it says that it is ready, answers from memory, and keeps watches open in silence.

use crate::testbed::{Testbed, kubeconfig};
use crate::told::{Following, State, Told};
use crate::writes::Writer;
use crate::{KINDS, connect};
use reckon_model::Timestamp;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn an_etcd_that_hangs_makes_stale_and_deletes_nothing() {
    without_etcd("hangs", ["etcd", "pause"], ["etcd", "resume"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn an_etcd_that_is_dead_makes_stale_and_deletes_nothing() {
    without_etcd("dead", ["etcd", "stop"], ["etcd", "start"]).await;
}

async fn without_etcd(case: &str, stop: [&str; 2], start: [&str; 2]) {
    let testbed = Testbed::for_test(case);
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("before", 100).await;
    following.settled(&writer).await;
    let deaths = following.told().deaths.len();
    let gone = Timestamp::now();
    testbed.control(&stop);
    let stale = |told: &Told| {
        KINDS.iter().all(|kind| told.first(kind, gone, |state| matches!(state, State::Interrupted(_))).is_some())
    };
    let told = following.until("every kind is stale", Duration::from_secs(60), stale).await;
    // So long that whatever the server does in the end has been done.
    tokio::time::sleep(Duration::from_secs(70).saturating_sub(told)).await;
    let fresh = |state: &State| matches!(state, State::Resumed);
    for kind in KINDS {
        let at = following.told().first(kind, gone, fresh);
        assert_eq!(at, None, "{kind} is shown as fresh: {:?}", following.told().states);
    }
    assert_eq!(following.told().deaths.len(), deaths, "nothing was deleted");
    let back = Timestamp::now();
    testbed.control(&start);
    let resumed = |told: &Told| KINDS.iter().all(|kind| told.first(kind, back, fresh).is_some());
    let again = following.until("every kind is followed again", Duration::from_secs(60), resumed).await;
    testbed.control(&["is-well"]);
    writer.some("after", 100).await;
    let seen = following.settled(&writer).await;
    let gaps = following.told().gaps();
    eprintln!(
        "{case}: stale after {told:?}, fresh {again:?} after it was back, {seen} of {} told; {gaps:?}",
        writer.kept().len()
    );
}

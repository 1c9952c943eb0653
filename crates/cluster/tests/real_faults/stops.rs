//! An API server that is killed or restarted.

use crate::testbed::{Testbed, kubeconfig};
use crate::told::{Following, State};
use crate::writes::Writer;
use crate::{KINDS, connect};
use reckon_model::{Kind, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Large objects, so that a line is nearly always on its way.
const BYTES: usize = 200_000;

/// Writes until told to stop, whether a server is there or not.
fn write_on(writer: &Writer, prefix: &'static str, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    let (writer, stop) = (writer.clone(), stop.clone());
    tokio::spawn(async move {
        // Not so many that etcd's space ends.
        let mut kept = 0;
        for i in 0.. {
            if stop.load(Ordering::SeqCst) || kept > 500 {
                return;
            }
            let name = format!("{prefix}-{i}");
            if !writer.create(&name, BYTES).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            kept += 1;
            if i % 3 == 0 {
                writer.delete(&name).await;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn killed_in_the_middle_of_a_stream_nothing_is_lost_or_told_twice() {
    let testbed = Testbed::for_test("killed");
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    let mut took = Vec::new();
    for round in ["one", "two", "three", "four"] {
        let stop = Arc::new(AtomicBool::new(false));
        let writing = write_on(&writer, round, &stop);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let killed = Timestamp::now();
        testbed.control_beside(&["kube-apiserver", "stop"]).await;
        testbed.control_beside(&["kube-apiserver", "start"]).await;
        testbed.control_beside(&["is-well"]).await;
        // It is back: the next write that it keeps has to be told.
        let back = Instant::now();
        let mark = writer.kept().len();
        let next = loop {
            if let Some(next) = writer.kept()[mark..].iter().find(|write| !write.deleted) {
                break next.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let heard = |told: &crate::told::Told| told.knew(&next);
        following.until("told after it is back", Duration::from_secs(30), heard).await;
        took.push(back.elapsed());
        stop.store(true, Ordering::SeqCst);
        writing.await.unwrap();
        following.settled(&writer).await;
        let gaps = following.told().gaps().iter().filter(|gap| gap.told >= killed).count();
        assert!(gaps <= 1, "one outage is one gap: {:?}", following.told().gaps());
    }
    let told = following.settled(&writer).await;
    eprintln!("killed: {told} of {} writes told, resumed after {took:?}", writer.kept().len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_restart_is_one_gap_and_no_duplicate() {
    let testbed = Testbed::for_test("restarted");
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("before", 100).await;
    following.settled(&writer).await;
    // The newest version is of another kind: the server that starts knows nothing from before it.
    for name in ["a", "b", "c"] {
        testbed.kubectl(&["create", "secret", "generic", name, "-n", testbed.namespace()]);
    }
    let asked = Timestamp::now();
    // Asked to end, it may take a minute for it, in which a bookmark brings the watch up to the newest version after all.
    testbed.control_beside(&["kube-apiserver", "stop"]).await;
    testbed.control_beside(&["kube-apiserver", "start"]).await;
    testbed.control_beside(&["is-well"]).await;
    let back = Instant::now();
    writer.some("after", 100).await;
    let told = following.settled(&writer).await;
    let took = back.elapsed();
    let gaps = following.told().gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].reason.contains("too old resource version"), "{gaps:?}");
    assert!(!gaps[0].rewound && gaps[0].since <= gaps[0].told, "{gaps:?}");
    let outage =
        following.told().first(&Kind::ConfigMap, asked, |state| matches!(state, State::Interrupted(_))).is_some();
    eprintln!(
        "restarted: {told} of {} writes told, settled {took:?} after, outage told: {outage}; {gaps:?}",
        writer.kept().len()
    );
}

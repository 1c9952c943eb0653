//! An etcd that is restored from a backup, and versions of the future.

use crate::cable::Cable;
use crate::testbed::{Testbed, kubeconfig};
use crate::told::Following;
use crate::writes::Writer;
use crate::{KINDS, connect};
use reckon_model::Timestamp;
use std::time::Duration;

const WRITES: usize = 550;

/// Where etcd's files are kept for this test: named by the test, as it ends with it.
fn saved(directory: &tempfile::TempDir) -> String {
    directory.path().join("etcd").to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_rewinding_is_told_and_all_that_is_written_after_it() {
    let testbed = Testbed::for_test("rewound");
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("kept", 20).await;
    following.settled(&writer).await;
    let directory = tempfile::tempdir().unwrap();
    testbed.control(&["save", &saved(&directory)]);
    assert_eq!(writer.some("lost", WRITES).await, WRITES);
    following.settled(&writer).await;
    let restored = Timestamp::now();
    restore(&testbed, &directory, false).await;
    writer.forget();
    let kept = writer.some("after", WRITES).await;
    assert_eq!(kept, WRITES);
    judge("rewound", &following, &writer, restored).await;
}

/// Who was away meets a server whose versions have come as far as, and beyond, those it knows: every number is right, and
/// what they stand for is not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_rewinding_is_told_to_who_was_away_until_the_versions_were_overtaken() {
    let testbed = Testbed::for_test("overtaken");
    let writer = Writer::new(testbed.namespace()).await;
    let cable = Cable::to(&kubeconfig()).await;
    let following = Following::begin(&connect(cable.kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("kept", 20).await;
    following.settled(&writer).await;
    let directory = tempfile::tempdir().unwrap();
    testbed.control(&["save", &saved(&directory)]);
    assert_eq!(writer.some("lost", WRITES).await, WRITES);
    following.settled(&writer).await;
    cable.pull();
    restore(&testbed, &directory, false).await;
    writer.forget();
    let kept = writer.some("after", WRITES).await + writer.some("later", 2 * WRITES).await;
    assert_eq!(kept, 3 * WRITES);
    let plugged = Timestamp::now();
    cable.plug();
    judge("overtaken", &following, &writer, plugged).await;
}

/// Against every manual: the API server goes on with what it remembers, and lists that. Then all that anybody can be told is
/// that history was rewound, with one gap for what the server itself does not know.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_rewinding_of_etcd_alone_is_told() {
    let testbed = Testbed::for_test("alone");
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("kept", 20).await;
    following.settled(&writer).await;
    let directory = tempfile::tempdir().unwrap();
    testbed.control(&["save", &saved(&directory)]);
    assert_eq!(writer.some("lost", WRITES).await, WRITES);
    following.settled(&writer).await;
    let restored = Timestamp::now();
    restore(&testbed, &directory, true).await;
    writer.forget();
    let kept = writer.some("after", WRITES).await;
    eprintln!("alone: {kept} of {WRITES} writes acknowledged");
    judge("alone", &following, &writer, restored).await;
    drop(following);
    // Nobody's memory is right now: the same again, as the manuals say.
    restore(&testbed, &directory, false).await;
}

async fn restore(testbed: &Testbed, directory: &tempfile::TempDir, etcd_alone: bool) {
    let path = saved(directory);
    tokio::task::block_in_place(|| match etcd_alone {
        true => testbed.control(&["restore", &path, "--etcd-alone"]),
        false => testbed.control(&["restore", &path]),
    });
}

/// Within sixty seconds it is told that history was rewound; all that is acknowledged from then on is told, or lies in that
/// one gap, and what is shown is what there is.
async fn judge(case: &str, following: &Following, writer: &Writer, since: Timestamp) {
    let rewound = |told: &crate::told::Told| told.gaps().iter().any(|gap| gap.rewound);
    following.until("rewound is told", Duration::from_secs(60), rewound).await;
    let told = following.settled(writer).await;
    let gaps = following.told().gaps();
    let at = gaps.iter().find(|gap| gap.rewound).unwrap().told;
    assert_eq!(gaps.iter().filter(|gap| gap.rewound).count(), 1, "{gaps:?}");
    eprintln!(
        "{case}: rewound told {} after, {told} of {} told one by one; {gaps:?}",
        at.duration_since(since),
        writer.kept().len()
    );
}

/// The following knows a version of the future by the server's words; here they are.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_version_of_the_future_is_refused_in_the_words_that_are_known() {
    let testbed = Testbed::for_test("future");
    let writer = Writer::new(testbed.namespace()).await;
    let future = "resourceVersion=99999999&resourceVersionMatch=NotOlderThan";
    for query in [
        future.to_owned(),
        format!("watch=true&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=10&{future}"),
    ] {
        let said = writer.words(&format!("/api/v1/configmaps?{query}")).await;
        eprintln!("future: {said}");
        assert!(said.contains("Too large resource version"), "{said}");
    }
}

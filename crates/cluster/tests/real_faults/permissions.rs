//! Rights that are taken away, and given back.

use crate::account::Account;
use crate::testbed::Testbed;
use crate::told::{Following, State, Told};
use crate::writes::Writer;
use crate::{KINDS, connect};
use reckon_model::Timestamp;
use std::time::Duration;

/// A watch lasts 360 s at most, and is then decided anew.
const LIFETIME: Duration = Duration::from_secs(390);

fn refused(told: &Told, since: Timestamp) -> bool {
    KINDS.iter().all(|kind| told.first(kind, since, |state| matches!(state, State::Refused(_))).is_some())
}

fn followed_again(told: &Told, since: Timestamp) -> bool {
    let again = |state: &State| matches!(state, State::Resumed | State::Listed);
    KINDS.iter().all(|kind| told.first(kind, since, again).is_some())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_right_that_is_taken_away_is_told_within_one_watch_and_taken_up_again() {
    without_the_right("taken", false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn a_right_that_is_taken_away_is_told_at_the_next_watch() {
    without_the_right("next", true).await;
}

async fn without_the_right(case: &str, watches_end: bool) {
    let mut testbed = Testbed::for_test(case);
    let account = Account::new(&mut testbed);
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(account.kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("before", 100).await;
    following.settled(&writer).await;
    let taken = Timestamp::now();
    account.unbind(&testbed);
    if watches_end {
        testbed.control(&["kube-apiserver", "stop"]);
        testbed.control(&["kube-apiserver", "start"]);
        testbed.control(&["is-well"]);
    }
    let limit = if watches_end { Duration::from_secs(60) } else { LIFETIME };
    let told = following.until("refused", limit, |told| refused(told, taken)).await;
    let word = following.told().states.iter().rev().find_map(|(_, _, state)| match state {
        State::Refused(why) => Some(why.clone()),
        _ => None,
    });
    assert!(word.as_ref().is_some_and(|why| why.contains("forbidden")), "{word:?}");
    // Nobody sees these.
    writer.some("unseen", 50).await;
    assert_eq!(following.told().first(&KINDS[0], taken, |state| *state == State::Resumed), None);
    let given = Timestamp::now();
    account.bind(&mut testbed);
    let again = following.until("followed again", Duration::from_secs(60), |told| followed_again(told, given)).await;
    writer.some("after", 50).await;
    let seen = following.settled(&writer).await;
    let gaps = following.told().gaps();
    eprintln!(
        "{case}: refused told after {told:?} ({word:?}), again after {again:?}, {seen} of {} told; {gaps:?}",
        writer.kept().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn an_account_that_is_deleted_makes_stale_and_deletes_nothing() {
    let mut testbed = Testbed::for_test("deleted");
    let account = Account::new(&mut testbed);
    let writer = Writer::new(testbed.namespace()).await;
    let following = Following::begin(&connect(account.kubeconfig()).await, KINDS.to_vec(), testbed.namespace());
    following.listed(KINDS).await;
    writer.some("before", 100).await;
    following.settled(&writer).await;
    let deaths = following.told().deaths.len();
    let taken = Timestamp::now();
    account.delete(&testbed);
    let stale = |told: &Told| {
        let is = |state: &State| matches!(state, State::Interrupted(_) | State::Refused(_));
        KINDS.iter().all(|kind| told.first(kind, taken, is).is_some())
    };
    let told = following.until("stale", Duration::from_secs(60), stale).await;
    assert_eq!(following.told().deaths.len(), deaths, "nothing was deleted");
    let words = following.told().states.last().cloned();
    eprintln!("deleted: stale after {told:?}: {words:?}");
}

//! An API server that has no time for who follows: every request is refused with 429.

use crate::account::Account;
use crate::audit;
use crate::cable::Cable;
use crate::connect;
use crate::testbed::Testbed;
use crate::told::{Following, State, Told};
use crate::writes::Writer;
use reckon_model::{Kind, Timestamp};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Many kinds, as the problems of a cluster need them.
const MANY: &[Kind] = &[
    Kind::ConfigMap,
    Kind::Pod,
    Kind::Node,
    Kind::Service,
    Kind::Event,
    Kind::Namespace,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
];

/// How long nothing is granted.
const STARVED: Duration = Duration::from_secs(24);

/// A level of no seats for this account. Even such a one grants a request while there is no other, so there always is another:
/// ones that a webhook holds, whose server takes the connection and says nothing, for ten seconds each.
async fn starve(testbed: &mut Testbed, account: &Account) -> Hog {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let holds = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    let name = testbed.namespace().to_owned();
    testbed.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: hog, namespace: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}}\n\
         subjects: [{{kind: ServiceAccount, name: follower, namespace: {name}}}]\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: {name}}}\n\
         webhooks:\n- name: hog.reckon.test\n  admissionReviewVersions: [v1]\n  sideEffects: None\n  timeoutSeconds: 30\n  failurePolicy: Ignore\n  clientConfig: {{url: 'https://127.0.0.1:{port}/'}}\n  objectSelector: {{matchLabels: {{hog: 'true'}}}}\n  \
         rules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}]\n"
    ));
    testbed.apply(&format!(
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: PriorityLevelConfiguration\nmetadata: {{name: {name}}}\n\
         spec: {{type: Limited, limited: {{nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {{type: Reject}}}}}}\n---\n\
         apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: {{name: {name}}}\n\
         spec:\n  priorityLevelConfiguration: {{name: {name}}}\n  matchingPrecedence: 50\n  rules:\n  - subjects: [{{kind: ServiceAccount, serviceAccount: {{name: follower, namespace: {name}}}}}]\n    resourceRules: [{{verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}}]\n"
    ));
    Hog { writer: Writer::with(account.kubeconfig(), testbed.namespace()).await, holds, sit: Vec::new() }
}

/// Who takes the only seat.
struct Hog {
    writer: Writer,
    holds: JoinHandle<()>,
    sit: Vec<JoinHandle<()>>,
}

impl Hog {
    /// Three take it in turn; the account is refused from now on.
    async fn sits_down(&mut self, namespace: &str) {
        for _ in 0..3 {
            let writer = self.writer.clone();
            self.sit.push(tokio::spawn(async move { writer.hog().await }));
        }
        let path = format!("/api/v1/namespaces/{namespace}/configmaps?limit=1");
        for _ in 0..200 {
            if self.writer.words(&path).await.contains("oo many requests") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the account is not starved");
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.holds.abort();
        self.sit.iter().for_each(JoinHandle::abort);
    }
}

fn feed(testbed: &Testbed) {
    testbed.kubectl(&["delete", "flowschema", testbed.namespace()]);
}

/// Each refusal says "in a second" or later, and that is obeyed: of no kind comes more than one request in a second.
fn no_storm(case: &str, account: &Account, since: Timestamp) {
    let mut asked = audit::asked_by(&account.user(), since);
    // The hog is of the same account.
    asked.retain(|asked| asked.verb != "create");
    let (refused, most) = audit::refused(&asked);
    let lists = audit::side_by_side(&asked);
    eprintln!(
        "{case}: {refused} of {} requests refused of {} kinds in {STARVED:?}, at most {most} of a kind in a second, {lists} lists side by side",
        asked.len(),
        MANY.len()
    );
    // Four lists are under way at a time, and each refusal may ask for a longer pause than the one before.
    assert!(refused >= 4, "it was not starved");
    assert!(most <= 1, "{most} requests of one kind within a second");
    assert!(asked.len() <= MANY.len() * 60, "a storm of {} requests", asked.len());
    assert!(lists <= 4, "{lists} lists side by side");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn who_begins_while_starved_waits_and_then_gets_all() {
    let mut testbed = Testbed::for_test("starved");
    let account = Account::new(&mut testbed);
    let writer = Writer::new(testbed.namespace()).await;
    writer.some("before", 100).await;
    // Nobody follows yet.
    writer.forget();
    let mut hog = starve(&mut testbed, &account).await;
    hog.sits_down(testbed.namespace()).await;
    let begun = Timestamp::now();
    let following = Following::begin(&connect(account.kubeconfig()).await, MANY.to_vec(), testbed.namespace());
    tokio::time::sleep(STARVED).await;
    let states = following.told().states.clone();
    let fed = states.iter().filter(|(_, _, state)| !matches!(state, State::Interrupted(_)));
    assert_eq!(fed.count(), 0, "{states:?}");
    no_storm("starved from the start", &account, begun);
    feed(&testbed);
    drop(hog);
    following.listed(MANY).await;
    writer.some("after", 50).await;
    following.settled(&writer).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn who_is_starved_while_following_makes_no_storm_and_loses_nothing() {
    let mut testbed = Testbed::for_test("famine");
    let account = Account::new(&mut testbed);
    let writer = Writer::new(testbed.namespace()).await;
    let cable = Cable::to(&account.kubeconfig()).await;
    let following = Following::begin(&connect(cable.kubeconfig()).await, MANY.to_vec(), testbed.namespace());
    following.listed(MANY).await;
    writer.some("before", 100).await;
    following.settled(&writer).await;
    let mut hog = starve(&mut testbed, &account).await;
    // Open watches cost no seat: only who has to ask again is hungry.
    cable.pull();
    hog.sits_down(testbed.namespace()).await;
    let begun = Timestamp::now();
    cable.plug();
    writer.some("unseen", 50).await;
    tokio::time::sleep(STARVED).await;
    let stale = MANY.iter().filter(|kind| following.told().is_stale(kind)).count();
    no_storm("starved while following", &account, begun);
    feed(&testbed);
    drop(hog);
    let again = |told: &Told| MANY.iter().all(|kind| !told.is_stale(kind));
    let took = following.until("every kind is followed again", Duration::from_secs(60), again).await;
    writer.some("after", 50).await;
    let seen = following.settled(&writer).await;
    let gaps = following.told().gaps();
    eprintln!(
        "famine: {stale} of {} kinds stale, followed again {took:?} after, {seen} of {} told; {gaps:?}",
        MANY.len(),
        writer.kept().len()
    );
}

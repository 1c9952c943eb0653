//! Two revisions, two moments, two clusters.

use super::*;
use reckon_model::document::Side;

fn lines(comparison: &Comparison) -> Vec<String> {
    comparison.fields.iter().map(field).collect()
}

fn checkout() -> ResourceRef {
    ResourceRef::new(Kind::Deployment, Some("shop"), "checkout")
}

fn three_revisions() -> State {
    state(&[
        deployment("64Mi"),
        replica_set("a", "1", "09:00:01", "256Mi"),
        replica_set("b", "2", "10:30:00", "128Mi"),
        replica_set("c", "3", "11:50:00", "64Mi"),
    ])
}

fn compare(state: &State, which: Which, whose: Whose) -> Result<Comparison, Untold> {
    revisions(state, &checkout(), which, whose, at(NOW)).found
}

#[test]
fn the_last_two_revisions_are_compared_unless_others_are_named() {
    let state = three_revisions();
    let last = compare(&state, Which::Last, Whose::Own).unwrap();
    assert_eq!(lines(&last), ["app: limits.memory 128Mi → 64Mi"]);
    let Side { name, revision, at: since, actor, .. } = last.to;
    assert_eq!((name.as_str(), revision, since), ("revision 3", Some(3), Some(at("11:49:59"))));
    assert_eq!(actor.unwrap().manager, "kubectl-edit");
    let named = compare(&state, Which::Two(1, 2), Whose::Own).unwrap();
    assert_eq!(lines(&named), ["app: limits.memory 256Mi → 128Mi"]);
    let back = compare(&state, Which::Two(2, 1), Whose::Own).unwrap();
    assert_eq!(lines(&back), ["app: limits.memory 128Mi → 256Mi"], "in the order in which they were named");
    let live = compare(&state, Which::Since(1), Whose::Own).unwrap();
    assert_eq!((lines(&live), live.to.name.as_str()), (vec!["app: limits.memory 256Mi → 64Mi".to_owned()], "now"));
}

#[test]
fn a_revision_that_is_not_kept_names_those_that_are() {
    let untold = compare(&three_revisions(), Which::Two(1, 41), Whose::Own).unwrap_err();
    assert_eq!(untold.to_string(), "has no revision 41; kept are 1, 2 and 3");
}

#[test]
fn the_only_revision_is_compared_with_what_is_now() {
    let state = state(&[deployment("64Mi"), replica_set("c", "1", "11:50:00", "64Mi")]);
    let only = compare(&state, Which::Last, Whose::Own).unwrap();
    assert_eq!((lines(&only), only.from.revision, only.to.name.as_str()), (vec![], Some(1), "now"));
}

#[test]
fn a_daemon_set_is_compared_by_its_controller_revisions() {
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "checkout", "namespace": "shop", "uid": "d",
            "creationTimestamp": day("09:00:00")},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": template("64Mi")}});
    let revision = |number: i64, created: &str, memory: &str| {
        let mut template = template(memory);
        template["$patch"] = "replace".into();
        json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number,
            "metadata": {"name": format!("checkout-{number}"), "namespace": "shop", "uid": format!("r{number}"),
                "creationTimestamp": day(created), "labels": {"app": "checkout"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "checkout", "uid": "d", "controller": true}]},
            "data": {"spec": {"template": template}}})
    };
    let state = state(&[set, revision(1, "09:00:00", "256Mi"), revision(2, "11:00:00", "64Mi")]);
    let target = ResourceRef::new(Kind::DaemonSet, Some("shop"), "checkout");
    let last = revisions(&state, &target, Which::Last, Whose::Own, at(NOW)).found.unwrap();
    assert_eq!(lines(&last), ["app: limits.memory 256Mi → 64Mi"]);
}

fn released_state() -> State {
    let mut known = state(&[released("32Mi"), secret(6, "superseded", "10:00:00"), secret(7, "deployed", "11:50:00")]);
    for (number, version, memory) in [(6, "1.9.3", "256Mi"), (7, "1.9.4", "64Mi")] {
        let demand =
            Demand::HelmRevision { namespace: "shop".into(), secret: format!("sh.helm.release.v1.checkout.v{number}") };
        known.answer(demand, Answer::Manifest(vec![manifest(version, memory)]));
    }
    known
}

#[test]
fn what_has_no_revisions_of_its_own_has_those_of_its_release() {
    let state = released_state();
    let last = compare(&state, Which::Two(6, 7), Whose::Own).unwrap();
    assert_eq!(last.from.name, "release checkout revision 6");
    assert!(lines(&last).contains(&"app: limits.memory 256Mi → 64Mi".to_owned()), "{:?}", lines(&last));
    let live = compare(&state, Which::Since(7), Whose::Release).unwrap();
    assert!(lines(&live).contains(&"app: limits.memory 64Mi → 32Mi".to_owned()), "{:?}", lines(&live));
    // What the chart leaves open is no difference.
    assert!(!lines(&live).iter().any(|line| line.contains("replicas")), "{:?}", lines(&live));
    let untold = compare(&state, Which::Since(5), Whose::Release).unwrap_err();
    assert_eq!(untold.to_string(), "has no revision 5 of release checkout; kept are 6 and 7");
}

#[test]
fn a_number_that_only_the_release_has_is_pointed_at() {
    let mut known = released_state();
    for set in [replica_set("a", "1", "09:00:01", "256Mi"), replica_set("b", "2", "11:50:00", "32Mi")] {
        known.apply(Object::decode(set.to_string().as_bytes(), None).unwrap());
    }
    let untold = compare(&known, Which::Two(6, 7), Whose::Own).unwrap_err();
    assert_eq!(
        untold.to_string(),
        "has no revision 6; kept are 1 and 2 (its Helm release checkout has a revision 6: give --helm)"
    );
}

#[test]
fn what_nothing_keeps_revisions_of_says_so() {
    let target = ResourceRef::new(Kind::ConfigMap, Some("shop"), "settings");
    let untold = revisions(&state(&[settings("db-2")]), &target, Which::Last, Whose::Own, at(NOW)).found.unwrap_err();
    assert!(untold.to_string().starts_with("has no revisions: Kubernetes keeps none of a ConfigMap"), "{untold}");
}

fn told_between(state: &State, target: &ResourceRef, from: &str, to: &str) -> Result<Told, Untold> {
    between(state, target, (at(from), at(to)), at(NOW)).found
}

#[test]
fn two_moments_are_compared_by_the_revisions_in_force_and_by_who_wrote_in_between() {
    let state = three_revisions();
    let told = |from: &str, to: &str| {
        let Told { comparison, untold } = told_between(&state, &checkout(), from, to).unwrap();
        (lines(&comparison), untold.into_iter().map(|gap| gap.what).collect::<Vec<_>>())
    };
    assert_eq!(told("11:00:00", "11:55:00").0, ["app: limits.memory 128Mi → 64Mi"]);
    assert_eq!(told("11:55:00", "11:59:00"), (vec![], vec![]));
    let (fields, untold) = told("10:00:00", "11:00:00");
    assert_eq!(fields, ["spec.replicas set to 3", "app: limits.memory 256Mi → 128Mi"]);
    assert_eq!(untold, ["spec.replicas before 2026-01-01T10:30:00Z"], "what it was before is not remembered");
    let before = told_between(&state, &checkout(), "08:00:00", "11:00:00").unwrap_err();
    assert_eq!(before, Untold::NotYet { created: at("09:00:00") });
}

#[test]
fn a_moment_before_the_oldest_revision_is_not_told() {
    let state = state(&[deployment("64Mi"), replica_set("c", "7", "11:50:00", "64Mi")]);
    let untold = told_between(&state, &checkout(), "10:00:00", "11:55:00").unwrap_err();
    assert_eq!(untold, Untold::Forgotten { since: at("11:50:00") });
}

#[test]
fn what_was_rolled_back_to_was_in_force_before() {
    let state = state(&[
        deployment("256Mi"),
        replica_set("a", "3", "09:00:01", "256Mi"),
        replica_set("b", "2", "11:00:00", "64Mi"),
    ]);
    let told = |from: &str, to: &str| lines(&told_between(&state, &checkout(), from, to).unwrap().comparison);
    assert_eq!(told("10:45:00", "11:30:00"), ["app: limits.memory 256Mi → 64Mi"]);
    assert_eq!(told("11:30:00", "11:55:00"), ["app: limits.memory 64Mi → 256Mi"]);
    assert_eq!(told("10:45:00", "11:55:00"), Vec::<String>::new());
}

#[test]
fn an_edited_key_is_told_between_two_moments() {
    let state = state(&[settings("db-2")]);
    let target = ResourceRef::new(Kind::ConfigMap, Some("shop"), "settings");
    let told = |from: &str, to: &str| lines(&told_between(&state, &target, from, to).unwrap().comparison);
    assert_eq!(told("11:30:00", "11:50:00"), ["data.DATABASE_HOST db-1 → db-2"]);
    assert_eq!(told("11:45:00", "11:50:00"), Vec::<String>::new());
}

fn object(value: &Value) -> State {
    let mut state = State::default();
    state.apply(Object::decode_whole(value.to_string().as_bytes(), None).unwrap());
    state
}

fn drift(first: &Value, second: &Value) -> (Vec<String>, Vec<String>) {
    let (a, b) = (object(first), object(second));
    let find = |state: &State| {
        let reference = Object::decode(first.to_string().as_bytes(), None).unwrap().reference();
        state.get(&reference).unwrap().clone()
    };
    let Compared { fields, not_checked } = compared(&find(&a), &find(&b));
    (
        fields.iter().map(field).collect(),
        not_checked.into_iter().map(|gap| format!("{}: {}", gap.what, gap.why)).collect(),
    )
}

#[test]
fn drift_is_what_people_mean_and_not_what_a_cluster_assigns() {
    let mut other = deployment("65536Ki");
    other["metadata"]["uid"] = "elsewhere".into();
    other["metadata"]["creationTimestamp"] = day("08:00:00").into();
    other["metadata"]["resourceVersion"] = "99".into();
    other["metadata"]["generation"] = 7.into();
    other["metadata"]["managedFields"] = json!([]);
    other["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "9"});
    other["spec"]["template"]["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/restartedAt": day("10:00:00")});
    other["status"] = json!({"replicas": 3});
    assert_eq!(drift(&deployment("64Mi"), &other), (vec![], vec![]));
    other["spec"]["replicas"] = 5.into();
    assert_eq!(drift(&deployment("64Mi"), &other).0, ["spec.replicas 3 → 5"]);

    let service = |address: &str, node_port: u32, port: u32| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": port, "nodePort": node_port}]}})
    };
    assert_eq!(drift(&service("10.0.0.1", 30_001, 80), &service("10.9.0.1", 30_002, 80)).0, Vec::<String>::new());
    assert_eq!(
        drift(&service("None", 1, 80), &service("10.9.0.1", 1, 80)).0[0],
        "spec.clusterIP removed, was None",
        "headless on purpose"
    );
    assert_eq!(drift(&service("a", 1, 80), &service("a", 1, 81)).0.len(), 2, "one port came and one went");
}

#[test]
fn two_pods_differ_in_neither_their_node_nor_their_tokens() {
    let on = |node: &str, token: &str| {
        let mut pod = pod("p", "Running", &[]);
        pod["spec"]["nodeName"] = node.into();
        pod["spec"]["volumes"] = json!([{"name": format!("kube-api-access-{token}"), "projected": {}}]);
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": format!("kube-api-access-{token}"), "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
        pod
    };
    assert_eq!(drift(&on("n1", "aaaaa"), &on("n2", "bbbbb")), (vec![], vec![]));
}

#[test]
fn values_that_are_secret_are_not_compared_and_that_is_said() {
    let secret = |value: &str, key: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "data": {key: value}});
    let (fields, gaps) = drift(&secret("YQ==", "password"), &secret("Yg==", "password"));
    assert_eq!(fields, Vec::<String>::new());
    assert_eq!(gaps, ["values of the Secret: they are never read; the names of keys are compared"]);
    let other_key = drift(&secret("YQ==", "password"), &secret("YQ==", "token")).0;
    assert_eq!(other_key, ["data.password removed, was (a value)", "data.token set to (a value)"]);
    let with = |value: &str| {
        let mut workload = deployment("64Mi");
        workload["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "DB_PASSWORD", "value": value}]);
        workload
    };
    let (fields, gaps) = drift(&with("hunter2-s3cr3t"), &with("hunter3-s3cr3t"));
    assert_eq!(fields, Vec::<String>::new());
    assert!(gaps[0].starts_with("1 value: "), "{gaps:?}");
}

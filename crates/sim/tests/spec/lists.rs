//! Lists: pages, versions, selectors.

use crate::ask::{names, start};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn a_list_says_its_kind_and_its_items_do_not() {
    let sim = start();
    sim.map("a", &json!({}));
    let said = sim.get(MAPS);
    assert_eq!((&said.json["kind"], &said.json["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(said.json["items"][0].get("kind"), None);
    assert_eq!(sim.get(&format!("{MAPS}/a")).json["kind"], "ConfigMap");
    assert!(said.text.contains(r#"{"metadata":{"#), "{}", said.text);
}

#[test]
fn pages_show_the_state_of_the_first_one() {
    let sim = start();
    for name in ["a", "b", "c", "d", "e"] {
        sim.map(name, &json!({}));
    }
    let first = sim.get(&format!("{MAPS}?limit=2")).json;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    sim.delete(&format!("{MAPS}/d"));
    sim.map("cc", &json!({}));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = sim.get(&format!("{MAPS}?limit=2&continue={token}")).json;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = sim.get(&format!("{MAPS}?limit=2&continue={token}")).json;
    assert_eq!((names(&third), third["metadata"].get("continue")), (vec!["e"], None));
    assert_eq!(names(&sim.get(MAPS).json), ["a", "b", "c", "cc", "e"]);
}

#[test]
fn a_token_that_is_too_old_gets_410_and_another_to_go_on_with() {
    let sim = start();
    for name in ["a", "b", "c"] {
        sim.map(name, &json!({}));
    }
    let first = sim.get(&format!("{MAPS}?limit=1")).json;
    let token = first["metadata"]["continue"].as_str().unwrap();
    sim.map("bb", &json!({}));
    sim.server.world().compact();
    let said = sim.get(&format!("{MAPS}?limit=1&continue={token}"));
    assert_eq!((said.code, &said.json["reason"]), (410, &json!("Expired")));
    let token = said.json["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&sim.get(&format!("{MAPS}?continue={token}")).json), ["b", "bb", "c"]);
    assert_eq!(sim.get(&format!("{MAPS}?continue=rubbish")).code, 400);
}

#[test]
fn versions_are_met_as_they_are_meant() {
    let sim = start();
    let a = sim.map("a", &json!({}));
    let version = a["metadata"]["resourceVersion"].as_str().unwrap();
    sim.map("b", &json!({}));
    let list = |query: &str| sim.get(&format!("{MAPS}?{query}"));
    assert_eq!(names(&list(&format!("resourceVersion={version}&resourceVersionMatch=Exact")).json), ["a"]);
    assert_eq!(names(&list(&format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan")).json), ["a", "b"]);
    assert_eq!(names(&list("resourceVersion=0&limit=1").json), ["a", "b"]);
    assert_eq!(list("resourceVersionMatch=Exact").code, 422);
    assert_eq!(list("resourceVersion=0&resourceVersionMatch=Exact").code, 422);
    assert_eq!(list("sendInitialEvents=true").code, 422);
    sim.server.world().compact();
    assert_eq!(list(&format!("resourceVersion={version}&resourceVersionMatch=Exact")).code, 410);
}

#[tokio::test(start_paused = true)]
async fn a_version_of_the_future_is_waited_for_and_gets_504() {
    let server = reckon_sim::Server::new(reckon_sim::Config::default(), reckon_sim::Clock::real());
    let before = tokio::time::Instant::now();
    let request = http::Request::get(format!("{MAPS}?resourceVersion=9999")).body(bytes::Bytes::new()).unwrap();
    let answer = server.handle(request).await;
    assert_eq!((answer.status().as_u16(), before.elapsed().as_secs()), (504, 3));
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let status: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert!(status["message"].as_str().unwrap().starts_with("Timeout: Too large resource version: 9999, current: "));
}

#[test]
fn labels_and_fields_select() {
    let sim = start();
    sim.map("a", &json!({"app": "web"}));
    sim.map("b", &json!({"app": "api"}));
    let list = |query: &str| sim.get(&format!("/api/v1/configmaps?{query}"));
    assert_eq!(names(&list("labelSelector=app%3Dweb").json), ["a"]);
    assert_eq!(names(&list("labelSelector=app%20in%20(web,api)&fieldSelector=metadata.name!%3Da").json), ["b"]);
    assert_eq!(names(&list("fieldSelector=metadata.namespace%3Dother").json), Vec::<&str>::new());
    assert_eq!(list("labelSelector=a%20b").code, 400);
    let said = list("fieldSelector=data.a%3D1");
    assert_eq!(said.code, 400);
    assert!(said.text.contains("is not a known field selector"), "{}", said.text);
    let counted = list("labelSelector=app&limit=1").json;
    assert_eq!(counted["metadata"].get("remainingItemCount"), None);
}

#[test]
fn pods_are_selected_by_node_and_phase() {
    let sim = start();
    for (name, node) in [("a", "n1"), ("b", "n2")] {
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
        assert_eq!(sim.ask("POST /api/v1/namespaces/default/pods", &pod).code, 201);
    }
    assert_eq!(names(&sim.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2,status.phase%3DPending").json), ["b"]);
    assert_eq!(sim.get("/api/v1/pods?fieldSelector=status.phase%3DRunning").json["items"], json!([]));
}

#[test]
fn what_is_not_served_is_not_found() {
    let sim = start();
    let said = sim.get("/apis/nowhere.org/v1/things");
    assert_eq!((said.code, said.text.as_str()), (404, "404 page not found\n"));
    let said = sim.get("/api/v1/namespaces/default/pods/none");
    assert_eq!(said.code, 404);
    assert_eq!(said.json["message"], r#"pods "none" not found"#);
    assert_eq!(said.json["details"], json!({"name": "none", "kind": "pods"}));
    assert_eq!(sim.ask("POST /api/v1/pods", &json!({})).code, 405);
}

#[test]
fn a_list_at_an_older_version_is_the_state_of_then_whatever_happened_since() {
    // Every state that was listed once must be listed again, as long as the log reaches back.
    let sim = start();
    let mut rng = reckon_sim::Rng::new(7);
    let mut states = Vec::new();
    for step in 0..200 {
        let name = format!("m{}", rng.below(20));
        let path = format!("{MAPS}/{name}");
        match rng.below(3) {
            0 => drop(
                sim.ask(&format!("POST {MAPS}"), &json!({"metadata": {"name": name}, "data": {"s": step.to_string()}})),
            ),
            1 => drop(sim.delete(&path)),
            _ => drop(sim.patch(&path, "merge-patch", &json!({"data": {"s": step.to_string()}}))),
        }
        states.push(sim.get(MAPS).json);
    }
    for state in states {
        let version = state["metadata"]["resourceVersion"].as_str().unwrap();
        let again = sim.get(&format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact")).json;
        assert_eq!(again, state);
    }
}

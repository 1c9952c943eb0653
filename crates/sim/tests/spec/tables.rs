//! Tables, as `kubectl get` asks for them.

use crate::ask::{Sim, start};
use reckon_sim::Bulk;
use serde_json::{Value, json};

fn table(sim: &Sim, path: &str) -> Vec<String> {
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let said = sim.ask_as(&format!("GET {path}"), &[("accept", accept)], &Value::Null).json;
    assert_eq!(said["kind"], "Table");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown = |cells: &Value| {
        let columns = said["columnDefinitions"].as_array().unwrap().iter().zip(cells.as_array().unwrap());
        columns.filter(|(column, _)| column["priority"] == 0).map(|(_, cell)| text(cell)).collect::<Vec<_>>().join(" ")
    };
    let heads: Vec<Value> =
        said["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    let rows = said["rows"].as_array().unwrap().iter().map(|row| shown(&row["cells"]));
    [shown(&heads.into())].into_iter().chain(rows).collect()
}

#[test]
fn common_kinds_have_their_columns() {
    let sim = start();
    sim.server.world().fill(&Bulk { pods: 1, nodes: 1, namespaces: 1, ..Bulk::default() });
    sim.advance(125);
    let rows = table(&sim, "/api/v1/namespaces/bulk-0/pods");
    assert_eq!(rows[0], "Name Ready Status Restarts Age");
    assert!(rows[1].ends_with(" 2/2 Running 0 2m5s"), "{}", rows[1]);
    assert_eq!(table(&sim, "/apis/apps/v1/deployments"), ["Name Ready Up-to-date Available Age", "api-0 1/1 1 1 2m5s"]);
    assert_eq!(table(&sim, "/api/v1/nodes")[1], "node-0 Ready <none> 2m5s v1.37.2");
    assert_eq!(table(&sim, "/api/v1/services")[1], "kubernetes ClusterIP 10.96.0.1 <none> 443/TCP 2m5s");
    assert_eq!(table(&sim, "/api/v1/namespaces")[1], "bulk-0 Active 2m5s");
    assert_eq!(table(&sim, "/apis/rbac.authorization.k8s.io/v1/roles"), ["Name Created At"]);
}

#[test]
fn a_pods_status_is_the_word_for_what_is_wrong() {
    let sim = start();
    let mut world = sim.server.world();
    for (name, state) in [
        ("a", json!({"waiting": {"reason": "CrashLoopBackOff"}})),
        ("b", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
        ("c", json!({"terminated": {"exitCode": 2}})),
    ] {
        let status = json!({"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 2, "ready": false, "state": state}]});
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": "n", "containers": [{"name": "app"}]}, "status": status});
        world.create("pods", pod).unwrap();
    }
    world.create("pods", json!({"metadata": {"name": "d"}, "spec": {"nodeName": "n", "containers": []}})).unwrap();
    world.delete("pods", "default", "d").unwrap();
    drop(world);
    let rows = table(&sim, "/api/v1/pods");
    let status: Vec<&str> = rows[1..].iter().map(|row| row.split(' ').nth(2).unwrap()).collect();
    assert_eq!(status, ["CrashLoopBackOff", "OOMKilled", "ExitCode:2", "Terminating"]);
}

//! Serves a simulated cluster on loopback until it is interrupted:
//! `cargo run -p reckon-sim --release --example serve -- --pods 100000 --port 0 --kubeconfig-out FILE --churn 1000`.
//! A number on a line of standard input is how many changes are made in each second from then on.
//!
//! Without pods it is a small cluster for demonstrations: three nodes, what is well, and what is not in five ways.

use reckon_sim::{Bulk, Clock, Config, Listener, Server, World};
use serde_json::{Value, json};
use std::error::Error;
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

/// How often controllers act and changes are made.
const STEP: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut bulk = Bulk { pods: 0, ..Bulk::default() };
    let (mut port, mut kubeconfig, mut churn_each_second, mut seed) = (0, None, 0_u64, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--pods" => bulk.pods = value.parse()?,
            "--nodes" => bulk.nodes = value.parse()?,
            "--pod-bytes" => bulk.bytes = value.parse()?,
            "--port" => port = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--churn" => churn_each_second = value.parse()?,
            "--kubeconfig-out" => kubeconfig = Some(value),
            _ => return Err(format!("{name} is not known").into()),
        }
    }
    if bulk.pods < 1000 {
        bulk = Bulk { nodes: 3 + bulk.pods / 50, namespaces: 1 + bulk.pods / 100, ..bulk };
    }
    // Controllers look at all objects in each step: that is for demonstrations and not for masses.
    let controllers = bulk.pods <= 1000;
    let config = Config { seed, controllers, keep_writes: false, ..Config::default() };
    let server = Server::new(config, Clock::real());
    let mut churn = server.world().fill(&bulk);
    if bulk.pods == 0 {
        demonstrate(&mut server.world())?;
    }
    let listener = Listener::bind(server.clone(), port).await?;
    if let Some(file) = kubeconfig {
        std::fs::write(file, listener.kubeconfig(None))?;
    }
    writeln!(std::io::stdout(), "{}", listener.url())?;
    let mut ticks = tokio::time::interval(STEP);
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    let mut heard = true;
    loop {
        tokio::select! {
            line = asked.next_line(), if heard => match line? {
                Some(line) => churn_each_second = line.trim().parse()?,
                // Started with no standard input, or by somebody who has nothing more to say.
                None => heard = false,
            },
            _ = ticks.tick() => {
                let mut world = server.world();
                if bulk.pods > 0 {
                    world.churn(&mut churn, churn_each_second / 10);
                }
                world.step();
            }
            end = tokio::signal::ctrl_c() => return Ok(end?),
        }
    }
}

/// Workloads that show what the controllers can do.
fn demonstrate(world: &mut World) -> Result<(), Box<dyn Error>> {
    let deployment = |name: &str, replicas: u32, script: &Value, resources: &Value| {
        json!({
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"sim.reckon.dev/behaviour": script.to_string()}},
                "spec": {"containers": [{
                    "name": "app", "image": format!("registry.example/{name}:1.0"), "resources": resources,
                    "ports": [{"containerPort": 8080, "name": "http"}],
                }]},
            }},
        })
    };
    let memory = json!({"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}});
    let huge = json!({"requests": {"cpu": "200"}});
    for (name, replicas, script, resources) in [
        ("shop", 3, json!({"*": {"log": ["listening on :8080"], "cpuMillis": 40, "memoryMi": 90}}), json!({})),
        (
            "cart",
            2,
            json!({"*": {"exitCode": 1, "after": 3, "log": ["cannot reach database: connection refused"]}}),
            json!({}),
        ),
        ("search", 1, json!({"*": {"oomAfter": 20, "memoryMi": 64, "log": ["loading index"]}}), memory),
        ("mail", 1, json!({"*": {"pull": false}}), json!({})),
        ("report", 1, json!({}), huge),
        ("pay", 2, json!({"*": {"ready": false}}), json!({})),
    ] {
        world.create("deployments.apps", deployment(name, replicas, &script, &resources))?;
        let ports = json!([{"port": 80, "targetPort": "http"}]);
        world.create(
            "services",
            json!({"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}),
        )?;
    }
    Ok(())
}

//! What the server costs: `cargo run -p reckon-sim --release --example measure -- [PODS]`. One line for each figure.
//!
//! Thresholds on a core of a 2-core AMD EPYC machine: 2 GB resident at 100,000 pods of 10 kB, 400 MB/s of a list, 50,000
//! watch events/s, 5,000 small requests/s.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use reckon_sim::{Bulk, Clock, Config, Listener, Server};
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn say(what: &str, value: f64, unit: &str) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{what:<56} {value:>12.1} {unit}")?)
}

/// Kilobytes of this process that are in memory.
fn resident() -> Outcome<f64> {
    let pid = std::process::id().to_string();
    let output = std::process::Command::new("ps").args(["-o", "rss=", "-p", &pid]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

async fn drain(server: &Server, path: &str, enough: u64) -> Outcome<(u64, u64)> {
    let mut body = server.handle(Request::get(path).body(Bytes::new())?).await.into_body();
    let (mut bytes, mut lines) = (0, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        bytes += data.len() as u64;
        lines += if enough == 0 { 0 } else { data.iter().filter(|&&byte| byte == b'\n').count() as u64 };
        if enough > 0 && lines >= enough {
            break;
        }
    }
    Ok((bytes, lines))
}

/// Reads an answer from a socket, as fast as it comes, until so many bytes or its end.
fn fetch(url: &str, path: &str, enough: u64) -> Outcome<u64> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        bytes += count as u64;
        if count == 0 || bytes >= enough {
            return Ok(bytes);
        }
    }
}

fn main() -> Outcome<()> {
    // One thread serves; what asks over the socket has the other core.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let pods = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let before = resident()?;
    let config = Config { controllers: false, keep_writes: false, ..Config::default() };
    let server = runtime.block_on(async { Server::new(config, Clock::real()) });
    let start = Instant::now();
    let mut churn = server.world().fill(&Bulk { pods, ..Bulk::default() });
    say("pods made, with workloads and nodes", rate(pods as u64, start), "pods/s")?;
    let count = u32::try_from(pods).map(f64::from)?;
    say("resident in all", (resident()? - before) / 1024.0, "MB")?;
    say("resident for each pod", (resident()? - before) / count, "kB")?;

    let start = Instant::now();
    let (bytes, _) = runtime.block_on(drain(&server, "/api/v1/pods", 0))?;
    say("list of all pods in the process", rate(bytes, start) / 1e6, "MB/s")?;
    say("bytes of a pod in a list", f64::from(u32::try_from(bytes / pods as u64)?), "B")?;
    let listener = runtime.block_on(Listener::bind(server.clone(), 0))?;
    let start = Instant::now();
    let bytes = fetch(&listener.url(), "/api/v1/pods", u64::MAX)?;
    say("list of all pods over loopback", rate(bytes, start) / 1e6, "MB/s")?;
    let start = Instant::now();
    let mut token = String::new();
    let mut pages = 0;
    loop {
        let path = format!("/api/v1/pods?limit=500&continue={token}");
        let answer = runtime.block_on(server.handle(Request::get(path).body(Bytes::new())?));
        let bytes = runtime.block_on(answer.into_body().collect())?.to_bytes();
        pages += 1;
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        match head.split_once(r#""continue":""#).and_then(|(_, rest)| rest.split_once('"')) {
            Some((next, _)) => next.clone_into(&mut token),
            None => break,
        }
    }
    say("list in pages of 500", rate(pages * 500, start), "pods/s")?;

    let revision = server.world().revision();
    let changes: u64 = 15_000;
    let start = Instant::now();
    server.world().churn(&mut churn, changes);
    say("changes made", rate(changes, start), "writes/s")?;
    let path = format!("/api/v1/pods?watch=1&resourceVersion={revision}");
    let start = Instant::now();
    let (_, lines) = runtime.block_on(drain(&server, &path, changes))?;
    say("watch events in the process", rate(lines, start), "events/s")?;
    let start = Instant::now();
    // A little less than all, as the stream does not end.
    let bytes = fetch(&listener.url(), &path, changes * 9_000)?;
    say("watch events over loopback", rate(bytes / 10_000, start), "events/s")?;
    say("resident after changes", resident()? / 1024.0, "MB")?;

    let maps = "/api/v1/namespaces/default/configmaps";
    let start = Instant::now();
    let asks = 20_000;
    runtime.block_on(async {
        for i in 0..asks / 4 {
            let body = format!(r#"{{"metadata":{{"name":"m{i}","labels":{{"a":"b"}}}},"data":{{"x":"1"}}}}"#);
            let patch = r#"{"data":{"x":"2"}}"#;
            let one = format!("{maps}/m{i}");
            let asks = [("POST", maps, body.as_str()), ("PATCH", &one, patch), ("GET", &one, ""), ("DELETE", &one, "")];
            for (method, path, body) in asks {
                let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
                let request = Request::builder().method(method).uri(path).header("content-type", media);
                drop(server.handle(request.body(Bytes::from(body.to_owned()))?).await);
            }
        }
        Outcome::Ok(())
    })?;
    say("small requests, three writes of four", rate(asks, start), "requests/s")
}

//! What containers use now: `metrics.k8s.io` and the kubelet's `stats/summary`.

use reckon_model::{Quantity, Sample, Timestamp};
use serde::Deserialize;

/// One `PodMetrics` object as samples.
pub(crate) fn pod_metrics(json: &[u8], namespace: &str, pod: &str) -> Result<Vec<Sample>, serde_json::Error> {
    let metrics: PodMetrics = serde_json::from_slice(json)?;
    let quantity = |text: &Option<String>, unit: i128| {
        let nanos = Quantity::new(text.as_deref()?).nanos()?;
        u64::try_from(nanos / unit).ok()
    };
    Ok(metrics
        .containers
        .iter()
        .map(|container| Sample {
            at: metrics.timestamp,
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.name.clone(),
            memory_bytes: quantity(&container.usage.memory, 1_000_000_000),
            cpu_millicores: quantity(&container.usage.cpu, 1_000_000),
            source: "metrics.k8s.io",
        })
        .collect())
}

/// A kubelet's summary as samples of all containers of the node. A container that was not measured yet has none.
pub(crate) fn node_stats(json: &[u8]) -> Result<Vec<Sample>, serde_json::Error> {
    let summary: Summary = serde_json::from_slice(json)?;
    let mut samples = Vec::new();
    for pod in summary.pods {
        for container in pod.containers {
            let memory = container.memory.unwrap_or_default();
            let cpu = container.cpu.unwrap_or_default();
            let Some(at) = memory.time.or(cpu.time) else { continue };
            samples.push(Sample {
                at,
                namespace: pod.pod_ref.namespace.clone(),
                pod: pod.pod_ref.name.clone(),
                container: container.name,
                memory_bytes: memory.working_set_bytes,
                cpu_millicores: cpu.usage_nano_cores.map(|nanos| nanos / 1_000_000),
                source: "kubelet",
            });
        }
    }
    samples.sort_by(|a, b| (&a.namespace, &a.pod, &a.container).cmp(&(&b.namespace, &b.pod, &b.container)));
    Ok(samples)
}

#[derive(Deserialize)]
struct PodMetrics {
    timestamp: Timestamp,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    name: String,
    #[serde(default)]
    usage: UsageQuantities,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageQuantities {
    cpu: Option<String>,
    memory: Option<String>,
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    pods: Vec<PodStats>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStats {
    pod_ref: PodRef,
    #[serde(default)]
    containers: Vec<ContainerStats>,
}

#[derive(Deserialize)]
struct PodRef {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
struct ContainerStats {
    name: String,
    cpu: Option<CpuStats>,
    memory: Option<MemoryStats>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CpuStats {
    time: Option<Timestamp>,
    usage_nano_cores: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MemoryStats {
    time: Option<Timestamp>,
    working_set_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_metrics_become_bytes_and_thousandths_of_a_core() {
        let json = br#"{"kind":"PodMetrics","metadata":{"name":"a"},"timestamp":"2026-11-23T14:00:00Z","window":"15s",
            "containers":[{"name":"app","usage":{"cpu":"12345678n","memory":"262144Ki"}},{"name":"new","usage":{}}]}"#;
        let samples = pod_metrics(json, "shop", "a").unwrap();
        assert_eq!((samples[0].memory_bytes, samples[0].cpu_millicores), (Some(268_435_456), Some(12)));
        assert_eq!((samples[1].memory_bytes, samples[1].cpu_millicores), (None, None));
    }

    #[test]
    fn a_kubelets_summary_holds_every_measured_container_of_the_node() {
        let json = br#"{"node":{"nodeName":"n"},"pods":[
            {"podRef":{"name":"b","namespace":"shop","uid":"u"},"containers":[
                {"name":"app","memory":{"time":"2026-11-23T14:00:00Z","workingSetBytes":7},"cpu":{"time":"2026-11-23T14:00:00Z","usageNanoCores":2500000}},
                {"name":"unmeasured"}]},
            {"podRef":{"name":"a","namespace":"shop"},"containers":[{"name":"x","memory":{"time":"2026-11-23T14:00:00Z"}}]}]}"#;
        let samples = node_stats(json).unwrap();
        let names: Vec<_> = samples.iter().map(|sample| (sample.pod.as_str(), sample.memory_bytes)).collect();
        assert_eq!(names, [("a", None), ("b", Some(7))]);
        assert_eq!(samples[1].cpu_millicores, Some(2));
    }
}

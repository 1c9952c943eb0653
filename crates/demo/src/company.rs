//! Harbour Books, who sell books on the net: three namespaces of their own, and what every cluster has beside them.

use crate::owner::Owner;
use crate::workload::{Runs, Workload};
use serde_json::{Value, json};

/// The namespaces of the company, with the teams that own them.
pub(crate) const TEAMS: [(&str, &str); 3] = [("shop", "storefront"), ("payments", "payments"), ("data", "insights")];

/// The namespaces of the platform.
pub(crate) const PLATFORM: [&str; 3] = ["ingress-nginx", "cert-manager", "reckon"];

/// A release of Helm.
const fn helm(release: &'static str, chart: &'static str, revision: u64) -> Owner {
    Owner::Helm { release, chart, revision }
}

/// Every workload.
pub(crate) fn workloads() -> Vec<Workload> {
    [platform(), shop(), payments(), data()].concat()
}

/// The workload of this name.
pub(crate) fn workload(namespace: &str, name: &str) -> Option<Workload> {
    workloads().into_iter().find(|workload| workload.namespace == namespace && workload.name == name)
}

fn shop() -> Vec<Workload> {
    let argo = |name, tag| Workload::new("shop", name, tag, Owner::Argo("shop"));
    let own = |name, tag| Workload::new("shop", name, tag, Owner::Kubectl);
    vec![
        Workload::new("shop", "storefront", "7.14.2", helm("storefront", "storefront-2.3.1", 31))
            .was("7.14.1")
            .replicas(3)
            .http(8080)
            .memory("250m", "384Mi", "512Mi", 290)
            .host("www.harbourbooks.example")
            .budget()
            .scaled_to(8)
            .config(&[("LOG_LEVEL", "info"), ("CATALOG_URL", "http://catalog"), ("CART_URL", "http://cart")])
            .log(&["storefront 7.14.2", "listening on :8080"]),
        Workload::new("shop", "checkout", "3.8.0", helm("checkout", "checkout-1.9.4", 13))
            .was("3.7.6")
            .replicas(3)
            .http(8080)
            .memory("200m", "384Mi", "512Mi", 391)
            .budget()
            .config(&[("LOG_LEVEL", "info"), ("PAYMENTS_URL", "http://payments-api.payments")])
            .log(&["checkout 3.8.0 starting", "loaded 214 tax rules", "listening on :8080"]),
        Workload::new("shop", "cart", "5.2.1", helm("cart", "cart-1.2.0", 9))
            .was("5.2.0")
            .replicas(3)
            .http(8080)
            .memory("100m", "128Mi", "256Mi", 118)
            .budget()
            .log(&["cart 5.2.1", "sessions: sessions-redis:6379", "listening on :8080"]),
        argo("catalog", "11.0.3").was("11.0.2").replicas(3).http(8080).memory("250m", "512Mi", "768Mi", 430).budget(),
        argo("search", "4.8.0").was("4.7.9").replicas(2).http(9200).memory("500m", "1Gi", "2Gi", 980),
        argo("recommendations", "2.1.7").was("2.1.6").http(8080).memory("500m", "768Mi", "1Gi", 610),
        argo("reviews", "1.19.0").http(8080).memory("100m", "128Mi", "256Mi", 101),
        argo("image-resizer", "0.9.12").http(8080).memory("200m", "256Mi", "512Mi", 270),
        argo("gift-cards", "1.4.1").replicas(1).http(8080),
        Workload::new("shop", "notifications", "2.6.3", helm("notifications", "notifications-0.8.2", 17))
            .was("2.6.2")
            .http(8080)
            .memory("100m", "192Mi", "384Mi", 170)
            .log(&["notifications 2.6.3", "queue: rabbitmq.payments:5672", "listening on :8080"]),
        own("sessions-redis", "7.4.1")
            .image("docker.io/library/redis")
            .runs(Runs::StatefulSet)
            .replicas(1)
            .tcp(6379)
            .storage("8Gi"),
        own("feature-flags", "1.3.0").replicas(1).http(8080).config(&[("new-checkout", "on"), ("gift-wrap", "off")]),
        own("back-office", "3.0.9").replicas(1).http(8080).host("back-office.harbourbooks.example"),
        own("sitemap", "1.0.4").runs(Runs::CronJob("15 * * * *")),
        own("abandoned-carts", "1.1.0").runs(Runs::CronJob("*/30 * * * *")),
    ]
}

fn payments() -> Vec<Workload> {
    let argo = |name, tag| Workload::new("payments", name, tag, Owner::Argo("payments"));
    let own = |name, tag| Workload::new("payments", name, tag, Owner::Kubectl);
    vec![
        Workload::new("payments", "payments-api", "8.3.0", helm("payments-api", "payments-api-4.1.0", 42))
            .was("8.2.4")
            .replicas(3)
            .http(8080)
            .memory("250m", "256Mi", "512Mi", 240)
            .host("pay.harbourbooks.example")
            .budget()
            .log(&["payments-api 8.3.0", "ledger: http://ledger", "listening on :8080"]),
        own("ledger", "6.0.2")
            .was("6.0.1")
            .http(8080)
            .memory("250m", "512Mi", "1Gi", 470)
            .budget()
            .config(&[("DATABASE_HOST", "payments-postgres"), ("DATABASE_NAME", "ledger"), ("POOL_SIZE", "20")])
            .log(&["ledger 6.0.2", "connected to payments-postgres:5432", "listening on :8080"]),
        argo("fraud-scoring", "1.12.0").http(8080).memory("500m", "768Mi", "1536Mi", 690),
        argo("invoices", "2.2.8").http(8080).memory("100m", "192Mi", "384Mi", 160),
        argo("tax", "4.0.0").replicas(1).http(8080),
        argo("bank-gateway", "1.7.5")
            .http(8443)
            .memory("100m", "128Mi", "256Mi", 97)
            .with(json!({"volumes": [{"name": "tls", "secret": {"secretName": "bank-gateway-tls"}}]}))
            .log(&["bank-gateway 1.7.5", "client certificate: /etc/tls/tls.crt", "listening on :8443"]),
        own("payments-postgres", "17.2")
            .image("docker.io/library/postgres")
            .runs(Runs::StatefulSet)
            .replicas(1)
            .tcp(5432)
            .storage("100Gi")
            .memory("500m", "1Gi", "2Gi", 1100),
        own("rabbitmq", "4.0.5")
            .image("docker.io/library/rabbitmq")
            .runs(Runs::StatefulSet)
            .replicas(1)
            .tcp(5672)
            .storage("10Gi")
            .memory("200m", "512Mi", "1Gi", 380),
        own("settlement", "3.1.1").runs(Runs::CronJob("0 * * * *")),
        own("invoice-run", "2.2.8")
            .with(batch())
            .runs(Runs::CronJob("40 * * * *"))
            .log(&["invoice-run 2.2.8", "rendering invoices"]),
    ]
}

/// On the machines that are kept for long work.
fn batch() -> Value {
    let own =
        json!({"key": "harbourbooks.example/pool", "operator": "Equal", "value": "batch", "effect": "NoSchedule"});
    json!({"nodeSelector": {"harbourbooks.example/pool": "batch"}, "tolerations": [own]})
}

fn data() -> Vec<Workload> {
    let argo = |name, tag| Workload::new("data", name, tag, Owner::Argo("insights"));
    let own = |name, tag| Workload::new("data", name, tag, Owner::Kubectl);
    let mut reports = batch();
    reports["priorityClassName"] = "business-reports".into();
    reports["priority"] = 100_000.into();
    vec![
        Workload::new("data", "kafka", "3.9.0", helm("kafka", "kafka-31.0.0", 4))
            .image("docker.io/apache/kafka")
            .runs(Runs::StatefulSet)
            .replicas(3)
            .tcp(9092)
            .storage("200Gi")
            .budget()
            .memory("500m", "1Gi", "2Gi", 1350),
        own("clickhouse", "24.8")
            .image("docker.io/clickhouse/clickhouse-server")
            .runs(Runs::StatefulSet)
            .replicas(1)
            .tcp(9000)
            .storage("500Gi")
            .memory("500m", "2Gi", "4Gi", 2600),
        argo("events-ingest", "5.5.0").was("5.4.9").http(8080).memory("200m", "256Mi", "512Mi", 230),
        own("etl-orders", "2.0.14")
            .memory("250m", "1Gi", "2Gi", 1400)
            .log(&["etl-orders 2.0.14", "consuming orders from kafka:9092"]),
        argo("dashboards", "11.4.0")
            .image("docker.io/grafana/grafana")
            .replicas(1)
            .http(3000)
            .host("dashboards.harbourbooks.example"),
        argo("feature-store", "0.6.2").replicas(1).http(8080).memory("250m", "512Mi", "1Gi", 520),
        // Important, and modest in what it asks for: what it does to its node is one of the incidents.
        Workload::new("data", "report-builder", "1.8.0", helm("report-builder", "report-builder-0.4.0", 6))
            .was("1.7.3")
            .replicas(1)
            .memory("500m", "1Gi", "", 900)
            .with(reports)
            .log(&["report-builder 1.8.0", "waiting for work"]),
        own("clickstream-rollup", "1.2.2").replicas(1).memory("200m", "256Mi", "1Gi", 540).with(batch()),
        own("price-history", "1.0.1").replicas(1).memory("200m", "256Mi", "1Gi", 480).with(batch()),
        own("export-nightly", "1.5.0").runs(Runs::CronJob("30 2 * * *")),
    ]
}

fn platform() -> Vec<Workload> {
    let system = |name, tag, image: &str| {
        let workload = Workload::new("kube-system", name, tag, Owner::Kubectl).image(image);
        workload.with(json!({"priorityClassName": "system-cluster-critical", "priority": 2_000_000_000}))
    };
    let each_node = json!({"priorityClassName": "system-node-critical", "priority": 2_000_001_000, "hostNetwork": true, "tolerations": [{"operator": "Exists"}]});
    vec![
        system("coredns", "v1.12.0", "registry.k8s.io/coredns/coredns").tcp(53).memory("100m", "70Mi", "170Mi", 34),
        system("metrics-server", "v0.8.0", "registry.k8s.io/metrics-server/metrics-server")
            .replicas(1)
            .memory("100m", "200Mi", "400Mi", 61),
        system("kube-proxy", "v1.37.2", "registry.k8s.io/kube-proxy")
            .runs(Runs::DaemonSet)
            .memory("50m", "64Mi", "", 31)
            .with(each_node.clone()),
        system("csi-block-node", "v1.44.0", "registry.k8s.io/csi-block")
            .runs(Runs::DaemonSet)
            .memory("10m", "40Mi", "256Mi", 38)
            .with(each_node.clone()),
        Workload::new(
            "ingress-nginx",
            "ingress-nginx-controller",
            "v1.13.0",
            helm("ingress-nginx", "ingress-nginx-4.13.0", 5),
        )
        .image("registry.k8s.io/ingress-nginx/controller")
        .http(8080)
        .memory("100m", "256Mi", "512Mi", 190)
        .budget(),
        Workload::new("cert-manager", "cert-manager", "v1.18.2", helm("cert-manager", "cert-manager-v1.18.2", 3))
            .image("quay.io/jetstack/cert-manager-controller")
            .replicas(1)
            .memory("50m", "128Mi", "256Mi", 72),
        Workload::new("reckon", "reckon-node", "0.1.0", Owner::Kubectl)
            .image("reckon")
            .container("node")
            .runs(Runs::DaemonSet)
            .memory("5m", "16Mi", "32Mi", 11)
            .with(each_node),
    ]
}

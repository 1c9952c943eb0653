//! What happens to the data team.

use super::Scripted;
use crate::company::workload;
use crate::owner::Owner;
use crate::workload::Workload;
use serde_json::json;

pub(super) static QUOTA: Scripted = Scripted {
    minute: 10,
    what: "etl-orders asks for three times the memory, which the quota of its namespace has not left",
    ask: "deployment/etl-orders",
    namespace: Some("data"),
    failure: "quota-exceeded",
    shows: 120,
    begin: |world| {
        let Some(mut etl) = workload("data", "etl-orders") else { return };
        etl.requests.1 = "3Gi";
        etl.limit = Some("4Gi");
        etl.owner.apply(world, etl.objects(etl.tag));
    },
};

pub(super) static CLAIM: Scripted = Scripted {
    minute: 15,
    what: "report-archive is installed with a StorageClass that this cluster does not have",
    ask: "deployment/report-archive",
    namespace: Some("data"),
    failure: "pvc-class",
    shows: 150,
    begin: |world| {
        let owner = Owner::Helm { release: "report-archive", chart: "report-archive-0.1.0", revision: 1 };
        let archive = Workload::new("data", "report-archive", "0.1.0", owner)
            .replicas(1)
            .with(json!({"volumes": [{"name": "archive", "persistentVolumeClaim": {"claimName": "report-archive"}}]}));
        let mut objects = archive.objects("0.1.0");
        let meta = json!({"name": "report-archive", "namespace": "data", "labels": archive.selector()});
        let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3-cold", "resources": {"requests": {"storage": "500Gi"}}});
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec});
        objects.insert(0, ("persistentvolumeclaims", claim));
        owner.apply(world, objects);
    },
};

//! A service account, as an agent in a cluster has one.

use crate::testbed::{Testbed, kubeconfig};
use std::path::PathBuf;

pub(crate) struct Account {
    directory: tempfile::TempDir,
    name: String,
}

impl Account {
    /// With a token of an hour and the right to read what is followed.
    pub(crate) fn new(testbed: &mut Testbed) -> Account {
        let name = testbed.namespace().to_owned();
        testbed.apply(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: follower, namespace: {name}}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\n\
             rules: [{{apiGroups: ['', apps, batch], resources: ['*'], verbs: [get, list, watch]}}]\n"
        ));
        let account = Account { directory: tempfile::tempdir().unwrap(), name };
        account.bind(testbed);
        let token = testbed.kubectl(&["create", "token", "follower", "-n", &account.name, "--duration=1h"]);
        let mut config = kube::config::Kubeconfig::read_from(kubeconfig()).unwrap();
        config.auth_infos[0].auth_info = Some(serde_json::from_value(serde_json::json!({"token": token})).unwrap());
        let mut value = serde_json::to_value(&config).unwrap();
        // Whatever writes a secret down may hide it.
        value["users"][0]["user"]["token"] = token.into();
        std::fs::write(account.kubeconfig(), value.to_string()).unwrap();
        account
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// As the audit log has it.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:follower", self.name)
    }

    pub(crate) fn bind(&self, testbed: &mut Testbed) {
        let name = &self.name;
        testbed.apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
             subjects: [{{kind: ServiceAccount, name: follower, namespace: {name}}}]\n"
        ));
    }

    pub(crate) fn unbind(&self, testbed: &Testbed) {
        testbed.kubectl(&["delete", "clusterrolebinding", &self.name]);
    }

    pub(crate) fn delete(&self, testbed: &Testbed) {
        testbed.kubectl(&["delete", "serviceaccount", "follower", "-n", &self.name]);
    }
}

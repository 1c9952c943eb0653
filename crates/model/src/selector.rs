//! Label selectors.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A label selector as workloads, budgets and affinity terms write it. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions, all of which must hold.
    pub match_expressions: Vec<Requirement>,
}

/// One condition on a label (or, in node affinity, on a node's label or field).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, and for nodes `Gt`, `Lt`.
    pub operator: String,
    /// The values the operator compares with.
    pub values: Vec<String>,
}

impl LabelSelector {
    /// A selector of exact values, as Services write it.
    pub fn exact(labels: &BTreeMap<String, String>) -> Self {
        LabelSelector { match_labels: labels.clone(), match_expressions: Vec::new() }
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// As the API takes it in `labelSelector`.
    pub fn query(&self) -> String {
        let mut terms: Vec<String> = self.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        terms.extend(self.match_expressions.iter().filter_map(|requirement| {
            let Requirement { key, operator, values } = requirement;
            match operator.as_str() {
                "In" => Some(format!("{key} in ({})", values.join(","))),
                "NotIn" => Some(format!("{key} notin ({})", values.join(","))),
                "Exists" => Some(key.clone()),
                "DoesNotExist" => Some(format!("!{key}")),
                _ => None,
            }
        }));
        terms.join(",")
    }
}

impl Requirement {
    /// Whether these labels satisfy it. An unknown operator is satisfied by nothing.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = |text: &String| text.parse::<i64>().ok();
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => value.and_then(number) > self.values.first().and_then(number) && value.and_then(number).is_some(),
            "Lt" => value
                .and_then(number)
                .is_some_and(|v| self.values.first().and_then(number).is_some_and(|bound| v < bound)),
            _ => false,
        }
    }

    /// For people: `disktype in (ssd, nvme)`, `gpu exists`.
    pub fn describe(&self) -> String {
        let Requirement { key, operator, values } = self;
        match operator.as_str() {
            "In" if values.len() == 1 => format!("{key}={}", values[0]),
            "In" => format!("{key} in ({})", values.join(", ")),
            "NotIn" => format!("{key} not in ({})", values.join(", ")),
            "Exists" => format!("{key} exists"),
            "DoesNotExist" => format!("{key} does not exist"),
            _ => format!("{key} {operator} {}", values.join(", ")),
        }
    }
}

//! Label selectors.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A label selector as workloads, budgets and affinity terms write it. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions, all of which must hold.
    pub match_expressions: Vec<Requirement>,
}

/// One condition on a label (or, in node affinity, on a node's label or field).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
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

    /// Reads what `-l` takes: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas. `Err` names
    /// the part that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut selector = LabelSelector::default();
        for term in terms(text) {
            selector.match_expressions.push(Requirement::parse(term)?);
        }
        Ok(selector)
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

/// The parts between commas that stand in no parentheses; empty ones are left out, as the API does.
fn terms(text: &str) -> Vec<&str> {
    let mut open = false;
    let split = text.split(move |c| {
        open = (open || c == '(') && c != ')';
        c == ',' && !open
    });
    split.map(str::trim).filter(|term| !term.is_empty()).collect()
}

impl Requirement {
    fn parse(term: &str) -> Result<Self, String> {
        let made = |key: &str, operator: &str, values: Vec<String>| {
            let key = key.trim();
            let plain = !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "()!=,".contains(c));
            let requirement = Requirement { key: key.to_owned(), operator: operator.to_owned(), values };
            plain.then_some(requirement).ok_or_else(|| format!("{term:?} is no part of a label selector"))
        };
        let one = |value: &str| vec![value.trim().to_owned()];
        if let Some((head, list)) = term.split_once('(') {
            let (Some(list), Some((key, operator))) = (list.strip_suffix(')'), head.trim_end().rsplit_once(' ')) else {
                return made("", "", Vec::new());
            };
            let values = list.split(',').map(|value| value.trim().to_owned()).collect();
            return match operator {
                "in" => made(key, "In", values),
                "notin" => made(key, "NotIn", values),
                _ => made("", "", Vec::new()),
            };
        }
        match (term.split_once("!="), term.split_once('=')) {
            (Some((key, value)), _) => made(key, "NotIn", one(value)),
            (None, Some((key, value))) => made(key, "In", one(value.strip_prefix('=').unwrap_or(value))),
            (None, None) => match term.strip_prefix('!') {
                Some(key) => made(key, "DoesNotExist", Vec::new()),
                None => made(term, "Exists", Vec::new()),
            },
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_takes_is_read() {
        let labels = |text: &str| -> BTreeMap<String, String> {
            let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        for (selector, matching, other) in [
            ("app=web", "app=web", "app=api"),
            ("app==web,tier", "app=web tier=x", "app=web"),
            ("app!=web", "app=api", "app=web"),
            ("app in (web, api), !old", "app=api", "app=api old=1"),
            ("app notin (web,api)", "", "app=web"),
            ("app.kubernetes.io/name=web", "app.kubernetes.io/name=web", ""),
        ] {
            let read = LabelSelector::parse(selector).unwrap();
            assert!(read.matches(&labels(matching)), "{selector}");
            assert!(!read.matches(&labels(other)), "{selector}");
        }
        assert!(LabelSelector::parse("").unwrap().is_empty());
        for wrong in ["a b", "=x", "a in b", "a in (b", "a among (b)", "!", "(x)"] {
            assert!(LabelSelector::parse(wrong).is_err(), "{wrong}");
        }
    }
}

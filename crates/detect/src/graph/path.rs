//! Fields of JSON by a path that may lead through lists.

use serde_json::Value;

/// The values at a path such as `spec.rules[].http.paths[]`, each with the path it was found at: an item of a list by its
/// `name` where it has one, else by its index.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Vec<(String, &'v Value)> {
    let mut found = vec![(String::new(), value)];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (key, is_list) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
        found = found
            .into_iter()
            .filter_map(|(place, value)| {
                let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
                Some((place, value.get(key)?))
            })
            .flat_map(|(place, value)| match (is_list, value) {
                (false, value) => vec![(place, value)],
                (true, Value::Array(items)) => {
                    let item = |(at, item): (usize, &'v Value)| {
                        let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                        (format!("{place}[{}]", name.unwrap_or_else(|| at.to_string())), item)
                    };
                    items.iter().enumerate().map(item).collect()
                }
                (true, _) => Vec::new(),
            })
            .collect();
    }
    found
}

/// A text that is there and not empty.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

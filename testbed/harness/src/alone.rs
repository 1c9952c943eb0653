//! A capture without what only happened to be on the same cluster.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Leaves the objects of other namespaces out of a capture, if not a byte of the answer is another for it: where the pods of
/// a node are asked for, those of other cases, which run at the same time, come with them.
pub(crate) fn alone(bundle: &Path, namespace: &str, answer: impl Fn() -> Result<Value>) -> Result<()> {
    let whole = answer()?;
    let mut before: Vec<(PathBuf, String)> = Vec::new();
    for entry in fs::read_dir(bundle.join("objects"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let own = of(&text, namespace);
        if own != text {
            fs::write(&path, own)?;
            before.push((path, text));
        }
    }
    if !before.is_empty() && answer()? != whole {
        for (path, text) in before {
            fs::write(path, text)?;
        }
    }
    Ok(())
}

/// A list with one object a line, without those of other namespaces. What is in none stays.
fn of(list: &str, namespace: &str) -> String {
    let lines: Vec<&str> = list.lines().collect();
    let [first, items @ .., last] = lines.as_slice() else { return list.to_owned() };
    let own = |line: &&&str| {
        let object: Value = serde_json::from_str(line.trim_end_matches(',')).unwrap_or_default();
        object["metadata"]["namespace"].as_str().is_none_or(|its| its == namespace)
    };
    let own: Vec<&str> = items.iter().filter(own).map(|line| line.trim_end_matches(',')).collect();
    format!("{first}\n{}\n{last}\n", own.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "{\"kind\":\"PodList\",\"items\":[\n{\"metadata\":{\"namespace\":\"a\",\"name\":\"x\"}},\n{\"metadata\":{\"namespace\":\"b\",\"name\":\"y\"}},\n{\"metadata\":{\"name\":\"z\"}}\n]}\n";

    fn left(answer: impl Fn(&str) -> Value) -> String {
        let bundle = tempfile::tempdir().unwrap();
        let pods = bundle.path().join("objects/pods.json");
        fs::create_dir(bundle.path().join("objects")).unwrap();
        fs::write(&pods, LIST).unwrap();
        alone(bundle.path(), "a", || Ok(answer(&fs::read_to_string(&pods)?))).unwrap();
        fs::read_to_string(&pods).unwrap()
    }

    #[test]
    fn what_is_of_other_namespaces_is_left_out_where_the_answer_stays() {
        let left = left(|_| Value::Null);
        let list: Value = serde_json::from_str(&left).unwrap();
        let names: Vec<&Value> =
            list["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
        assert_eq!(names, ["x", "z"], "{left}");
    }

    #[test]
    fn it_stays_where_the_answer_rests_on_it() {
        assert_eq!(left(|list| list.contains("\"y\"").into()), LIST);
    }
}

//! The committed JSON Schemas are those the types generate.

use reckon_model::document::{Diff, ProblemList, Timeline};
use std::path::Path;

#[test]
fn the_committed_schemas_are_those_the_types_generate() {
    let documents = [
        ("reckon-v1.json", schemars::schema_for!(ProblemList)),
        ("reckon-v1-timeline.json", schemars::schema_for!(Timeline)),
        ("reckon-v1-diff.json", schemars::schema_for!(Diff)),
    ];
    for (file, schema) in documents {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema").join(file);
        let mut generated = serde_json::to_string_pretty(&schema).unwrap();
        generated.push('\n');
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{} is not what the types generate; run the tests with UPDATE=1",
            path.display()
        );
    }
}

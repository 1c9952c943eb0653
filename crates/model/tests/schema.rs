//! The committed JSON Schema is the one the types generate.

use reckon_model::document::ProblemList;
use std::path::Path;

#[test]
fn the_committed_schema_is_the_one_the_types_generate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/reckon-v1.json");
    let mut generated = serde_json::to_string_pretty(&schemars::schema_for!(ProblemList)).unwrap();
    generated.push('\n');
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{} is not what the types generate; run the tests with UPDATE=1", path.display());
}

//! Which annotations of an object are kept.

use reckon_model::Object;
use serde_json::json;

#[test]
fn a_large_annotation_is_not_kept_unless_all_is() {
    let json = json!({"kind": "Service", "apiVersion": "v1",
        "metadata": {"name": "a", "annotations": {"large": "x".repeat(100_000), "small": "b"}}})
    .to_string();
    let object = Object::decode(json.as_bytes(), None).unwrap();
    assert_eq!(object.meta.annotations.keys().collect::<Vec<_>>(), ["small"]);
    assert_eq!(object.whole().unwrap()["metadata"]["annotations"], json!({"small": "b"}));
    let whole = Object::decode_whole(json.as_bytes(), None).unwrap().whole().unwrap();
    assert_eq!(whole["metadata"]["annotations"]["large"].as_str().map(str::len), Some(100_000));
}

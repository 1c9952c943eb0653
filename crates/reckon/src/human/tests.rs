//! What `why -v` tells beyond `why`.

use super::*;
use serde_json::{Value, json};

fn problem(considered: Value) -> Problem {
    let object =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": null});
    let problem = json!({
        "id": "p-1", "mergedInto": null, "failure": "crash-loop", "class": null, "title": "shop/web: app keeps ending",
        "severity": "critical", "verdict": "likely", "opened": "2026-01-01T11:50:00Z", "closed": null,
        "closedReason": null, "episode": 1, "subject": object, "death": null, "alternatives": [], "chain": [],
        "cause": {"kind": "application", "ref": object, "field": null, "pointer": null, "from": null, "to": null,
            "at": null, "actor": null, "managedBy": null, "sentence": "app ended with exit code 1."},
        "evidence": [], "ruledOut": [], "considered": considered, "notChecked": [], "symptoms": [], "remedies": [],
        "impact": serde_json::to_value(reckon_model::document::Impact::default()).unwrap()
    });
    serde_json::from_value(problem).unwrap()
}

fn told(verbose: bool, width: usize, considered: Value) -> String {
    let again = Again::default();
    let page = Page {
        paint: Paint::None,
        width,
        terminal: false,
        when: When::new(false, "2026-01-01T12:00:00Z".parse().unwrap()),
        program: "reckon",
        again: &again,
        verbose,
    };
    let mut out = String::new();
    page.problem(&mut out, &problem(considered));
    out
}

#[test]
fn each_candidate_is_told_with_the_reason_why_it_lost() {
    let considered = json!([
        {"ref": null, "at": "2026-01-01T11:45:00Z", "what": "deployment/canary image changed from 1 to 2 at 11:45:00 UTC",
            "because": "its own pods are well, and nothing that is known connects it with shop/web"},
        {"ref": null, "at": null, "what": "endpoints-empty: \u{1b}[31mService shop/db", "because": "a problem of its own"},
    ]);
    let text = told(true, 100, considered.clone());
    let (_, rest) = text.split_once("CONSIDERED\n").unwrap();
    assert!(
        rest.starts_with(
            "  deployment/canary image changed from 1 to 2 at 11:45:00 UTC\n    ✗ its own pods are well, and nothing \
             that is known connects it with shop/web\n"
        ),
        "{rest}"
    );
    assert!(rest.contains("\n    ✗ a problem of its own\n"), "{rest}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    // Wrapped lines stay under what they belong to.
    let narrow = told(true, 40, considered.clone());
    assert!(narrow.contains("    ✗ its own pods are well, and nothing\n    that is known"), "{narrow}");
    assert!(!told(false, 100, considered).contains("CONSIDERED"));
}

#[test]
fn that_nothing_was_considered_is_said() {
    let text = told(true, 100, json!([]));
    assert!(text.contains("CONSIDERED\n  no other change and no other problem near by is known\n"), "{text}");
}

//! Taints, and who puts up with them.

use reckon_model::k8s::{Taint, Toleration};

/// Whether one of these puts up with a taint.
pub(crate) fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let exists = toleration.operator == "Exists";
    effect
        && ((toleration.key.is_empty() && exists)
            || (toleration.key == taint.key && (exists || toleration.value == taint.value)))
}

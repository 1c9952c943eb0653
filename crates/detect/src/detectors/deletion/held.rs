//! What a namespace says it waits for, in the words of its conditions.

/// Resources that are left: `Some resources are remaining: widgets.example.org has 2 resource instances, pods. has 1 …`.
/// Plural and group, the latter empty for the core group.
pub(super) fn resources(message: &str) -> Vec<(&str, &str)> {
    let (_, list) = message.split_once("remaining: ").unwrap_or(("", message));
    list.split(", ")
        .filter_map(|part| {
            let (resource, _) = part.trim().split_once(" has ")?;
            let (plural, group) = resource.split_once('.')?;
            (!plural.contains(' ')).then_some((plural, group))
        })
        .collect()
}

/// Finalizers that are left: `… has finalizers remaining: example.org/cleanup in 2 resource instances`.
pub(super) fn finalizers(message: &str) -> Vec<&str> {
    let (_, list) = message.split_once("remaining: ").unwrap_or(("", message));
    let parts = list.split(", ").filter_map(|part| part.trim().split_once(" in "));
    parts.map(|(finalizer, _)| finalizer).filter(|finalizer| !finalizer.contains(' ')).collect()
}

/// The API group and version that could not be discovered, as `metrics.k8s.io/v1beta1`, of whichever wording.
pub(super) fn group_version(message: &str) -> Option<(&str, &str)> {
    message.split([' ', ',']).find_map(|word| {
        let (group, version) = word.trim_matches([':', '"', '[', ']', '(', ')', '.']).split_once('/')?;
        let is_version = version.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        (group.contains('.') && is_version && !version.contains('/')).then_some((group, version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_from_the_conditions() {
        let left = "Some resources are remaining: widgets.example.org has 2 resource instances, pods. has 1 resource instances";
        assert_eq!(resources(left), [("widgets", "example.org"), ("pods", "")]);
        let left = "Some content in the namespace has finalizers remaining: example.org/cleanup in 2 resource instances, x.org/y in 1 resource instances";
        assert_eq!(finalizers(left), ["example.org/cleanup", "x.org/y"]);
        assert!(resources("").is_empty() && finalizers("strange").is_empty());
    }

    #[test]
    fn the_group_that_cannot_be_discovered_is_found_in_old_and_new_words() {
        for message in [
            "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: the server is currently unable to handle the request",
            "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
        ] {
            assert_eq!(group_version(message), Some(("metrics.k8s.io", "v1beta1")), "{message}");
        }
        assert_eq!(group_version("and/or nothing"), None);
    }
}

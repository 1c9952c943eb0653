//! Which of a pod's own limits the kubelet evicted it for (Kubernetes 1.24 to 1.37: `pkg/kubelet/eviction`).

/// A limit of the pod itself. What the node ran short of is told in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Of one of its `emptyDir` volumes.
    EmptyDir { volume: String, size: String },
    /// Of one container.
    Container { name: String, size: String },
    /// Of all containers together.
    Pod { size: String },
}

impl Limit {
    /// From the pod's message.
    pub(super) fn of(message: &str) -> Option<Limit> {
        let message = message.trim().trim_start_matches("Pod was rejected: ");
        // The last word in quotes, or behind the rest.
        let size = |rest: &str| {
            let rest = rest.trim().trim_end_matches('.').trim_matches('"').trim();
            let plain = rest.len() <= 40 && !rest.contains(char::is_whitespace);
            if plain { rest.to_owned() } else { String::new() }
        };
        if let Some((_, rest)) = message.split_once("sage of EmptyDir volume \"") {
            let (volume, rest) = rest.split_once('"')?;
            let (_, rest) = rest.split_once("exceeds the limit")?;
            return Some(Limit::EmptyDir { volume: volume.to_owned(), size: size(rest) });
        }
        if let Some((before, rest)) = message.split_once("exceeded its local ephemeral storage limit") {
            let name = before.trim().rsplit(' ').next()?;
            return Some(Limit::Container { name: name.to_owned(), size: size(rest) });
        }
        let (_, rest) = message.split_once("phemeral local storage usage exceeds the total limit of containers")?;
        Some(Limit::Pod { size: size(rest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_out_of_the_kubelets_words() {
        assert_eq!(
            Limit::of("Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\". "),
            Some(Limit::EmptyDir { volume: "cache".into(), size: "1Gi".into() })
        );
        assert_eq!(
            Limit::of("Container app exceeded its local ephemeral storage limit \"500Mi\". "),
            Some(Limit::Container { name: "app".into(), size: "500Mi".into() })
        );
        assert_eq!(
            Limit::of("Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. "),
            Some(Limit::Pod { size: "2Gi".into() })
        );
        for other in [
            "The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0.",
            "The node had condition: [DiskPressure]. ",
            "Usage of EmptyDir volume \"broken",
            "",
        ] {
            assert_eq!(Limit::of(other), None, "{other}");
        }
    }
}

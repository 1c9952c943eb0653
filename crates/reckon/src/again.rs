//! What the next command needs to see the same: the flags that chose the cluster and the user, or the bundle.

use crate::args::{Global, Moment};
use reckon_model::kubectl;
use std::fmt::Write;
use std::path::Path;

/// Flags for the commands that an answer proposes, each with a space before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Again {
    /// For Reckon's own commands.
    pub(crate) reckon: String,
    /// For kubectl, which takes the flags of a connection under the same names. Empty beside a bundle: where its objects
    /// live is not known.
    pub(crate) kubectl: String,
    /// Whether it is a cluster, in which something can be changed.
    pub(crate) is_live: bool,
}

impl Again {
    /// The same cluster, as the same user.
    pub(crate) fn cluster(global: &Global) -> Self {
        let kubeconfig = global.kubeconfig.as_ref().map(|path| path.display().to_string());
        let one = [
            ("kubeconfig", &kubeconfig),
            ("context", &global.context),
            ("cluster", &global.cluster),
            ("user", &global.user),
            ("as", &global.as_user),
        ];
        let given = one.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
        let groups = global.as_groups.iter().map(|group| ("as-group", group));
        let mut flags = String::new();
        for (flag, value) in given.chain(groups) {
            let _ = write!(flags, " --{flag} {}", kubectl::word(value));
        }
        Again { reckon: flags.clone(), kubectl: flags, is_live: true }
    }

    /// The same bundle by the same clock.
    pub(crate) fn bundle(path: &Path, at: Option<Moment>) -> Self {
        let at = match at {
            None => String::new(),
            Some(Moment::Time(at)) => format!(" --at {at}"),
            Some(Moment::After(span)) => format!(" --at +{}s", span.as_secs()),
        };
        let reckon = format!(" -f {}{at}", kubectl::word(&path.display().to_string()));
        Again { reckon, kubectl: String::new(), is_live: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn a_proposed_command_goes_to_the_same_cluster_as_the_same_user() {
        let line = "reckon problems --kubeconfig my/config --context prod --as eve --as-group a --as-group 'b'";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let again = Again::cluster(&cli.global);
        assert_eq!(
            again.kubectl,
            r" --kubeconfig my/config --context prod --as eve --as-group a --as-group ''\''b'\'''"
        );
        assert_eq!(again.reckon, again.kubectl);
        let plain = Again::cluster(&Cli::try_parse_from(["reckon", "problems"]).unwrap().global);
        assert_eq!(plain, Again { is_live: true, ..Again::default() });
    }

    #[test]
    fn a_bundle_says_nothing_of_where_kubectl_should_write() {
        let again = Again::bundle(Path::new("my bundle"), None);
        assert_eq!(again, Again { reckon: " -f 'my bundle'".to_owned(), ..Again::default() });
    }
}

//! Registries that refuse: which credentials were offered, and which of them is wrong.

use super::Case;
use super::claim::Claim;
use super::reason;
use crate::finding::Fact;
use crate::spot;
use crate::{Lookup, blame, describe};
use reckon_model::document::{Alternative, Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::{Body, Kind, Object, ResourceRef};
use serde_json::Value;

/// The Secrets that hold registry credentials have one of these types; the kubelet reads no others.
const TYPES: [&str; 2] = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];

/// The pull Secrets that a pod names. Admission copies those of its ServiceAccount into it, so these are all.
struct Offered<'a> {
    absent: Vec<ResourceRef>,
    there: Vec<&'a Object>,
    unread: bool,
}

fn offered<'a>(case: &Case<'a, '_>) -> Offered<'a> {
    let mut offered = Offered { absent: Vec::new(), there: Vec::new(), unread: false };
    for secret in &case.body.spec.image_pull_secrets {
        let reference = ResourceRef::new(Kind::Secret, case.pod.meta.namespace.as_deref(), &secret.name);
        match case.view.look_up(&reference) {
            Lookup::Found(secret) => offered.there.push(secret),
            Lookup::Absent { .. } => offered.absent.push(reference),
            Lookup::Unread => offered.unread = true,
        }
    }
    offered
}

/// The registry says plainly that who asks may not have it.
pub(super) fn refused(case: &Case<'_, '_>) -> Claim {
    let offered = offered(case);
    let host = reason::host(&case.container.image);
    if let Some(target) = offered.absent.first() {
        let verdict = if offered.there.is_empty() && !offered.unread { Verdict::Confirmed } else { Verdict::Likely };
        return secret_missing(case, target, verdict);
    }
    if let Some((secret, kind)) = wrong_type(&offered) {
        return secret_type(case, secret, kind);
    }
    let moved = case.image_change().filter(|blame| {
        let before = blame.field().from.as_ref().and_then(Value::as_str);
        before.is_none_or(|before| reason::repository(before) != reason::repository(&case.container.image))
    });
    let image = case.image();
    let mut claim = if let Some(blame) = moved {
        let sentence = format!(
            "The image of {} was {}; the registry {host} refuses it with the credentials there are.",
            case.container.name,
            blame.words()
        );
        Claim {
            slug: "image-auth",
            class: Some("image-moved"),
            verdict: Verdict::Likely,
            what: format!("cannot start: its image was changed to {image}, which {host} refuses to hand out"),
            cause: blame.cause(case.view, sentence),
            alternatives: Vec::new(),
            facts: Vec::new(),
            remedies: case.put_back(&blame),
        }
    } else if let Some(secret) = offered.there.first() {
        rejected(case, secret)
    } else if offered.unread {
        Claim {
            slug: "image-auth",
            class: Some("rejected"),
            verdict: Verdict::Possible,
            what: format!("cannot start: {host} refuses the credentials for its image"),
            cause: case.image_cause(
                CauseKind::External,
                format!("The registry {host} refuses {image}; the pull Secrets could not be read."),
            ),
            alternatives: Vec::new(),
            facts: Vec::new(),
            remedies: Vec::new(),
        }
    } else {
        return no_secret(case);
    };
    let ask = format!("Ask who runs {host} whether {image} may be pulled with these credentials.");
    claim.remedies.push(case.outside(&case.workload.reference(), ask));
    claim
}

/// The registry does not tell absence from refusal, so that nobody learns which names exist.
pub(super) fn hidden(case: &Case<'_, '_>) -> Claim {
    let offered = offered(case);
    if let Some(target) = offered.absent.first() {
        return secret_missing(case, target, Verdict::Likely);
    }
    let host = reason::host(&case.container.image);
    let image = case.image();
    let account = match offered.there.first() {
        Some(secret) => format!("the account in Secret {} may not see it", secret.meta.name),
        None if offered.unread => "the pull Secret, which could not be read, does not fit".to_owned(),
        None => "it is private, and no pull Secret is named".to_owned(),
    };
    let alternative = Alternative {
        reference: offered.there.first().map(|secret| (&secret.reference()).into()),
        verdict: Verdict::Possible,
        sentence: format!("The image exists but {account}: pull it by hand with the same credentials to tell."),
    };
    let mut claim = Claim {
        slug: "image-not-found",
        class: Some("or-private"),
        verdict: Verdict::Likely,
        what: format!("cannot start: its image {image} does not exist or is private"),
        cause: case.image_cause(
            CauseKind::Resource,
            format!(
                "The registry {host} has no repository {} that these credentials may see.",
                reason::repository(&image)
            ),
        ),
        alternatives: vec![alternative],
        facts: Vec::new(),
        remedies: Vec::new(),
    };
    match case.image_change() {
        Some(blame) => {
            claim.what = format!("cannot start: its image was changed to {image}, which does not exist or is private");
            claim.cause = blame.cause(
                case.view,
                format!("The image of {} was {}; {host} shows no such repository.", case.container.name, blame.words()),
            );
            claim.remedies = case.put_back(&blame);
        }
        // It was there to be seen once, and what changed is at the registry.
        None if case.has_run() => {
            claim.what = format!("cannot start: its image {image} was deleted or is private now");
            claim.cause = case.image_cause(
                CauseKind::External,
                format!("The image {image} ran here before and nobody changed it since: {host} no longer shows it."),
            );
            let ask = format!("Ask who runs {host} whether {image} is still there and who may pull it.");
            claim.remedies.push(case.outside(&case.workload.reference(), ask));
        }
        None => claim.remedies.extend(
            case.patch_container(None, format!("Correct the name of the image, or name a pull Secret for {host}.")),
        ),
    }
    claim
}

fn secret_missing(case: &Case<'_, '_>, target: &ResourceRef, verdict: Verdict) -> Claim {
    let host = reason::host(&case.container.image);
    let named = case.spot.as_ref().and_then(|spot| {
        let index = spot.spec.image_pull_secrets.iter().position(|secret| secret.name == target.name)?;
        Some(spot.path("imagePullSecrets").item(&target.name, index).key("name"))
    });
    let cause = match named {
        Some(path) => blame::missing_reference(case.view, case.workload, target, &path.field, &path.pointer),
        None => {
            let account = match case.body.spec.service_account_name.as_str() {
                "" => "default",
                name => name,
            };
            let namespace = case.pod.meta.namespace.as_deref();
            let referrer = case.view.object(&Kind::ServiceAccount, namespace, account).found().unwrap_or(case.pod);
            blame::missing_reference(case.view, referrer, target, "imagePullSecrets", "/imagePullSecrets")
        }
    };
    let create = spot::supply(
        case.view,
        &cause,
        target,
        format!(
            "Make it: kubectl -n {} create secret docker-registry {} --docker-server={host} --docker-username=… --docker-password=….",
            target.namespace(),
            target.name
        ),
    );
    let absence = Fact {
        role: Role::Cause,
        source: Source::Absence,
        at: cause.at,
        about: target.clone(),
        text: format!("Secret {} does not exist", describe::name(target)),
        raw: None,
    };
    Claim {
        slug: "image-auth",
        class: Some("secret-missing"),
        verdict,
        what: format!("cannot start: {host} wants credentials, and the pull Secret {} does not exist", target.name),
        cause,
        alternatives: Vec::new(),
        facts: vec![absence],
        remedies: vec![create],
    }
}

fn wrong_type<'a>(offered: &Offered<'a>) -> Option<(&'a Object, &'a str)> {
    offered.there.iter().copied().find_map(|secret| match &secret.body {
        Body::Config(config) if !config.kind.is_empty() && !TYPES.contains(&config.kind.as_str()) => {
            Some((secret, config.kind.as_str()))
        }
        _ => None,
    })
}

fn secret_type(case: &Case<'_, '_>, secret: &Object, kind: &str) -> Claim {
    let host = reason::host(&case.container.image);
    let name = &secret.meta.name;
    let sentence = format!(
        "The pull Secret {name} is of type {kind}; only kubernetes.io/dockerconfigjson is read as credentials."
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&secret.reference()), sentence).at_field(
        "type",
        "/type",
        Some(kind.into()),
    );
    let text = format!("Secret {name} is of type {kind}");
    Claim {
        slug: "image-auth",
        class: Some("secret-type"),
        verdict: Verdict::Confirmed,
        what: format!("cannot start: the pull Secret {name} for {host} is of the wrong type"),
        cause,
        alternatives: Vec::new(),
        facts: vec![Fact::new(Role::Cause, Source::Spec, None, secret, text)],
        remedies: vec![spot::remedy(
            RemedyKind::Create,
            &secret.reference(),
            format!(
                "Delete {name} and make it again with kubectl create secret docker-registry: a type cannot be changed."
            ),
        )],
    }
}

fn rejected(case: &Case<'_, '_>, secret: &Object) -> Claim {
    let host = reason::host(&case.container.image);
    let name = &secret.meta.name;
    let sentence = format!(
        "The registry {host} refuses {} with the pull Secret {name}: it is expired, for another host, or not for this repository.",
        case.image()
    );
    let text = format!("Secret {name} exists and was offered");
    Claim {
        slug: "image-auth",
        class: Some("rejected"),
        verdict: Verdict::Likely,
        what: format!("cannot start: {host} refuses the credentials in Secret {name}"),
        cause: Cause::plain(CauseKind::External, Some(&secret.reference()), sentence),
        alternatives: Vec::new(),
        facts: vec![Fact::new(Role::Cause, Source::Spec, None, secret, text)],
        remedies: vec![spot::remedy(
            RemedyKind::Patch,
            &secret.reference(),
            format!(
                "Put valid credentials for {host} into Secret {name}; the host in it must be spelled as in the image."
            ),
        )],
    }
}

fn no_secret(case: &Case<'_, '_>) -> Claim {
    let host = reason::host(&case.container.image);
    let sentence =
        format!("The registry {host} wants credentials; neither the pods nor their ServiceAccount name a pull Secret.");
    let (cause, remedies) = match &case.spot {
        Some(spot) => {
            let path = spot.path("imagePullSecrets");
            let fix = format!(
                "Make a pull Secret for {host} (kubectl create secret docker-registry) and name it in {}.",
                path.field
            );
            (spot.wrong(&path, None, sentence), vec![spot.patch(None, fix)])
        }
        None => (case.image_cause(CauseKind::Resource, sentence), Vec::new()),
    };
    let text = "no pull Secret is named".to_owned();
    Claim {
        slug: "image-auth",
        class: Some("no-secret"),
        verdict: Verdict::Likely,
        what: format!("cannot start: {host} wants credentials, and no pull Secret is named"),
        cause,
        alternatives: vec![Alternative {
            reference: None,
            verdict: Verdict::Possible,
            sentence: "The nodes are to bring the credentials themselves (a credential provider of the kubelet) and do not: look whether other pods pull from this registry.".to_owned(),
        }],
        facts: vec![Fact::new(Role::Cause, Source::Spec, None, case.pod, text)],
        remedies,
    }
}

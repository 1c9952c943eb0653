//! What is claimed of an image that is not there: for each reason, whom to blame and what would end it.

use super::Case;
use super::credentials;
use super::reason::{self, Reason};
use crate::blame::{self, Blame};
use crate::finding::Fact;
use crate::spot::{self, Path, Spot};
use crate::{Lookup, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::{Body, FieldChange, Kind, ResourceRef};
use serde_json::{Value, json};

/// A change that was lived with for a day did not make what fails now.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The parts of a finding that depend on the reason.
pub(super) struct Claim {
    pub(super) slug: &'static str,
    pub(super) class: Option<&'static str>,
    pub(super) verdict: Verdict,
    /// What follows `namespace/name: container` in the title.
    pub(super) what: String,
    pub(super) cause: Cause,
    pub(super) alternatives: Vec<Alternative>,
    pub(super) facts: Vec<Fact>,
    pub(super) remedies: Vec<Remedy>,
}

/// What is claimed of a case.
pub(super) fn of(case: &Case<'_, '_>) -> Claim {
    match case.reason {
        Reason::NotFound => not_found(case),
        Reason::Hidden => credentials::hidden(case),
        Reason::Auth => credentials::refused(case),
        Reason::RateLimited => rate_limited(case),
        Reason::Unreachable(class) => unreachable(case, class),
        Reason::WrongPlatform => wrong_platform(case),
        Reason::Unusable(class) => unusable(case, class),
        Reason::Unknown => unknown(case),
    }
}

impl<'a> Case<'a, '_> {
    /// Where the image is written.
    pub(super) fn image_path(&self) -> Option<Path> {
        Some(self.spot.as_ref()?.container(&self.container.name)?.key("image"))
    }

    /// The change that made this pod ask for this image, if the image is what changed and if it never worked since: what
    /// was pulled after the change fails today for another reason.
    pub(super) fn image_change(&self) -> Option<Blame> {
        let path = self.image_path()?;
        self.change(|field| path.is_touched_by(field))
            .filter(|blame| mentions(blame.field().to.as_ref(), &self.container.image))
            .filter(|blame| self.is_fresh(blame) && !self.has_run())
    }

    /// Whether a change is not too old to be to blame, or its roll-out is known never to have ended.
    fn is_fresh(&self, blame: &Blame) -> bool {
        let stuck = self.progressing().is_some_and(|condition| condition.reason == "ProgressDeadlineExceeded");
        let since = self.onset.and_then(|onset| onset.checked_sub(WINDOW).ok());
        stuck || since.is_none_or(|since| blame.change.at >= since)
    }

    /// How far a Deployment is with its newest template.
    fn progressing(&self) -> Option<&'a Condition> {
        let body = self.workload.workload()?;
        // A status that speaks of an earlier template says nothing of this one.
        let current = body.status.observed_generation >= self.workload.meta.generation;
        Condition::find(&body.status.conditions, "Progressing").filter(|_| current)
    }

    /// The newest change of the template in a field that may explain this.
    pub(super) fn change(&self, fits: impl Fn(&FieldChange) -> bool) -> Option<Blame> {
        blame::template_change(self.view, self.workload, Some(self.pod), self.onset, |field| fits(field).then_some(0))
    }

    /// The image as it stands, as a cause of this kind: it is wrong, or it names what is outside.
    pub(super) fn image_cause(&self, kind: CauseKind, sentence: String) -> Cause {
        match (&self.spot, self.image_path()) {
            (Some(spot), Some(path)) => spot.names(kind, &path, Some(self.container.image.clone().into()), sentence),
            // What is not in the template was put into the pod on its way: the owner is still where people look.
            _ => Cause::plain(kind, Some(&self.workload.reference()), sentence),
        }
    }

    /// Writes something into this container of the template.
    pub(super) fn patch_container(&self, fields: Option<Value>, sentence: String) -> Option<Remedy> {
        let spot = self.spot.as_ref()?;
        let patch = fields.map(|mut fields| {
            fields["name"] = self.container.name.clone().into();
            let mut spec = json!({});
            spec[Spot::list(self.kind)] = json!([fields]);
            spec
        });
        Some(spot.patch(patch, sentence))
    }

    /// Undoes a change of the image.
    pub(super) fn put_back(&self, blame: &Blame) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        if let Some(before) = blame.field().from.as_ref().and_then(Value::as_str) {
            let sentence = format!("Put the image of {} back to {before}.", self.container.name);
            remedies.extend(self.patch_container(Some(json!({"image": before})), sentence));
            let back = format!("Roll {} back to the revision before.", describe::object(self.workload));
            remedies.extend(self.spot.as_ref().and_then(|spot| spot.roll_back(back)));
        }
        remedies
    }

    pub(super) fn outside(&self, on: &ResourceRef, sentence: String) -> Remedy {
        spot::remedy(RemedyKind::Outside, on, sentence)
    }

    /// Whether this template is known to have run: then its image was there once.
    pub(super) fn has_run(&self) -> bool {
        let settled = self.progressing().is_some_and(|condition| condition.reason == "NewReplicaSetAvailable");
        // The image of a pod of its own may be changed under it: then it was another one that ran.
        let pulled_before = self.pod.reference() != self.workload.reference()
            && self
                .body
                .containers()
                .filter(|(_, container, _)| container.name == self.container.name)
                .any(|(_, _, status)| status.is_some_and(|status| status.restart_count > 0));
        settled || pulled_before || self.has_it_elsewhere().is_some()
    }
}

fn mentions(value: Option<&Value>, image: &str) -> bool {
    match value {
        Some(Value::String(text)) => text == image,
        Some(Value::Object(container)) => container.get("image").and_then(Value::as_str) == Some(image),
        _ => false,
    }
}

/// A claim for which the image itself is to blame: its change if there was one, else the image as it stands.
fn by_image(case: &Case<'_, '_>, slug: &'static str, class: Option<&'static str>, is: &str, why: &str) -> Claim {
    let image = case.image();
    let mut claim = Claim {
        slug,
        class,
        verdict: Verdict::Confirmed,
        what: format!("cannot start: its image {image} {is}"),
        cause: case.image_cause(CauseKind::Resource, format!("The image {image} {why}.")),
        alternatives: Vec::new(),
        facts: Vec::new(),
        remedies: Vec::new(),
    };
    match case.image_change() {
        Some(blame) => {
            claim.what = format!("cannot start: its image was changed to {image}, which {is}");
            claim.cause = blame.cause(
                case.view,
                format!("The image of {} was {}; {image} {why}.", case.container.name, blame.words()),
            );
            claim.remedies = case.put_back(&blame);
        }
        None => {
            let sentence = format!("Name an image that can be pulled in {}.", describe::object(case.workload));
            claim.remedies.extend(case.patch_container(None, sentence));
        }
    }
    claim
}

fn not_found(case: &Case<'_, '_>) -> Claim {
    let image = case.image();
    let host = reason::host(&case.container.image);
    let mut claim =
        by_image(case, "image-not-found", None, "does not exist", &format!("is not in the registry {host}"));
    if claim.cause.kind != CauseKind::Change && case.has_run() {
        claim.what = format!("cannot start: its image {image} is no longer in the registry");
        claim.verdict = Verdict::Likely;
        claim.cause = case.image_cause(
            CauseKind::External,
            format!("The image {image} ran here before and nobody changed it since: it is gone from {host}."),
        );
        let ask = format!("Push {image} again, or ask whoever cleans up {host} to keep what is in use.");
        claim.remedies.insert(0, case.outside(&case.workload.reference(), ask));
    }
    claim
}

fn rate_limited(case: &Case<'_, '_>) -> Claim {
    let image = case.image();
    let host = reason::host(&case.container.image);
    let anonymous = case.body.spec.image_pull_secrets.is_empty();
    let who = if anonymous { "asks without credentials" } else { "was asked too often with these credentials" };
    let mut remedies = Vec::new();
    if anonymous && let Some(spot) = &case.spot {
        let sentence = format!(
            "Make a Secret with an account of {host} (kubectl create secret docker-registry) and name it in {}: limits of accounts are higher.",
            spot.path("imagePullSecrets").field
        );
        remedies.push(spot.patch(None, sentence));
    }
    let mirror = format!("Wait until {host} answers again, or pull from a mirror or pull-through cache.");
    remedies.push(case.outside(&case.workload.reference(), mirror));
    Claim {
        slug: "image-rate-limited",
        class: None,
        verdict: Verdict::Confirmed,
        what: format!("cannot start: {host} refuses its image because it was asked too often"),
        cause: case.image_cause(
            CauseKind::External,
            format!("The registry {host} limits how often images are pulled and refuses {image}; the cluster {who}."),
        ),
        alternatives: Vec::new(),
        facts: Vec::new(),
        remedies,
    }
}

/// How a registry is not reached, in words.
fn how(class: &str) -> &'static str {
    match class {
        "name" => "is not found by its name",
        "refused" => "refuses connections",
        "certificate" => "shows a certificate that the node does not trust",
        "plain-http" => "speaks HTTP where the node expects HTTPS",
        "server-error" => "answers with an error of its own",
        "unavailable" => "is unavailable",
        _ => "does not answer",
    }
}

fn unreachable(case: &Case<'_, '_>, class: &'static str) -> Claim {
    let image = case.image();
    let host = reason::host(&case.container.image);
    let how = how(class);
    let what = format!("cannot start: the registry {host} {how}");
    let ask = match class {
        "name" => format!("Check the name {host}, and the DNS servers that the node itself uses (not CoreDNS)."),
        "certificate" => format!("Give the nodes the CA of {host}, or renew its certificate."),
        "plain-http" => format!("Serve {host} over HTTPS, or configure the runtime of the nodes to use HTTP for it."),
        _ => format!("Check {host}, and the route, proxy and firewall between the nodes and it."),
    };
    let mut claim = Claim {
        slug: "registry-unreachable",
        class: Some(class),
        verdict: Verdict::Likely,
        what,
        cause: case.image_cause(CauseKind::External, format!("The registry {host}, which {image} is in, {how}.")),
        alternatives: Vec::new(),
        facts: Vec::new(),
        remedies: vec![case.outside(&case.workload.reference(), ask)],
    };
    // A change explains it only if it is the change that led to this registry.
    let moved = case.image_change().filter(|blame| {
        let before = blame.field().from.as_ref().and_then(Value::as_str);
        before.is_none_or(|before| reason::host(before) != host)
    });
    if let Some(blame) = moved {
        claim.verdict = Verdict::Confirmed;
        claim.what = format!("cannot start: its image was moved to the registry {host}, which {how}");
        claim.cause = blame.cause(
            case.view,
            format!("The image of {} was {}; the registry {host} {how}.", case.container.name, blame.words()),
        );
        claim.remedies.splice(0..0, case.put_back(&blame));
        return claim;
    }
    if let Some(node) = only_this_node(case) {
        let sentence =
            format!("Only node {} fails to reach the registry {host}; other nodes pulled {image}.", node.name);
        claim.cause = Cause::plain(CauseKind::Node, Some(&node), sentence);
        claim.what = format!("cannot start on node {}: from there the registry {host} {how}", node.name);
        claim.remedies.insert(
            0,
            spot::remedy(
                RemedyKind::Cordon,
                &node,
                format!("Keep new pods off node {} until it is mended.", node.name),
            ),
        );
        if let Some(other) = case.has_it_elsewhere() {
            let text = format!("{} has pulled {image} on another node", other.meta.name);
            claim.facts.push(Fact::new(Role::Cause, Source::Status, None, other, text));
        }
    }
    claim
}

/// The pod's node, if pods of the workload on other nodes have this image and none there lacks it.
fn only_this_node(case: &Case<'_, '_>) -> Option<ResourceRef> {
    let node = case.body.spec.node_name.as_str();
    let mut elsewhere = false;
    for other in case.view.pods_of(case.workload).items {
        let Some(body) = other.pod() else { continue };
        if body.spec.node_name == node || body.spec.node_name.is_empty() {
            continue;
        }
        for (_, container, status) in body.containers() {
            if container.name != case.container.name || container.image != case.container.image {
                continue;
            }
            match status.map(|status| (status.image_id.is_empty(), status.state.waiting.as_ref())) {
                Some((false, _)) => elsewhere = true,
                Some((true, Some(waiting))) if super::is_about_image(waiting) => return None,
                _ => {}
            }
        }
    }
    (elsewhere && !node.is_empty()).then(|| ResourceRef::new(Kind::Node, None, node))
}

fn wrong_platform(case: &Case<'_, '_>) -> Claim {
    let node = case.view.object(&Kind::Node, None, &case.body.spec.node_name);
    let architecture = |node: &Lookup<'_>| match node.found().map(|node| &node.body) {
        Some(Body::Node(node)) => node.status.node_info.architecture.clone(),
        _ => String::new(),
    };
    let here = architecture(&node);
    let processor = if here.is_empty() { "the node's processor".to_owned() } else { here.clone() };
    let why = format!("has no build for {processor}");
    let mut claim = by_image(case, "image-wrong-platform", None, &why, &why);
    if let Some(found) = node.found()
        && !here.is_empty()
    {
        let text = format!("node {} is {here}", found.meta.name);
        claim.facts.push(Fact::new(Role::Cause, Source::Node, None, found, text));
    }
    // The same image runs on nodes of another kind: the image is as it was, the pod came to a node it is not made for.
    let other = case.has_it_elsewhere().and_then(|other| {
        let there = architecture(&case.view.object(&Kind::Node, None, &other.pod()?.spec.node_name));
        (!there.is_empty() && !here.is_empty() && there != here).then_some((other, there))
    });
    if let (Some((other, there)), Some(spot)) = (other, &case.spot) {
        let path = spot.path("nodeSelector");
        claim.class = Some("mixed-nodes");
        claim.what = format!("cannot start on {here} nodes: its image is made for {there}, and nothing keeps it there");
        claim.cause = spot.wrong(
            &path,
            None,
            format!("The image {} runs on {there} nodes; the pods may also be placed on {here} nodes, for which it has no build.", case.image()),
        );
        let text = format!("{} runs the same image on a node with {there}", other.meta.name);
        claim.facts.push(Fact::new(Role::Cause, Source::Status, None, other, text));
        let sentence = format!("Keep the pods on {there} nodes, or build the image for {here} too.");
        claim.remedies = vec![spot.patch(Some(json!({"nodeSelector": {"kubernetes.io/arch": there}})), sentence)];
    }
    claim
}

fn unusable(case: &Case<'_, '_>, class: &'static str) -> Claim {
    match class {
        "invalid-name" => {
            by_image(case, "image-unusable", Some(class), "is no valid image name", "is no valid image name")
        }
        "signature" => by_image(
            case,
            "image-unusable",
            Some(class),
            "does not pass the node's signature policy",
            "does not pass the signature policy of the node's runtime",
        ),
        "never-pull" => never_pull(case),
        _ => {
            let mut claim = by_image(
                case,
                "image-unusable",
                Some(class),
                "cannot be inspected by the node's runtime",
                "cannot be inspected by the node's runtime",
            );
            claim.verdict = Verdict::Likely;
            // It was pulled, so the name is right; what lies on the node may not be.
            let node = ResourceRef::new(Kind::Node, None, &case.body.spec.node_name);
            let ask = format!("On node {}: `crictl rmi {}`, so that it is pulled anew.", node.name, case.image());
            claim.remedies.retain(|remedy| remedy.patch.is_some() || remedy.kind == RemedyKind::RollBack);
            claim.remedies.insert(0, case.outside(&node, ask));
            claim
        }
    }
}

fn never_pull(case: &Case<'_, '_>) -> Claim {
    let image = case.image();
    let mut claim = by_image(
        case,
        "image-unusable",
        Some("never-pull"),
        "is not on the node and may not be pulled",
        "is not on the node, and imagePullPolicy is Never",
    );
    let path = case.spot.as_ref().and_then(|spot| Some(spot.container(&case.container.name)?.key("imagePullPolicy")));
    let blame = path.as_ref().and_then(|path| case.change(|field| field.field == path.field));
    if let Some(blame) = blame {
        let sentence = format!("imagePullPolicy of {} was {}.", case.container.name, blame.words());
        claim.cause = blame.cause(case.view, sentence);
    } else if claim.cause.kind != CauseKind::Change
        && let (Some(spot), Some(path)) = (&case.spot, path)
    {
        let sentence = format!("{image} is not on the node, and imagePullPolicy Never forbids to pull it.");
        claim.cause = spot.wrong(&path, Some("Never".into()), sentence);
    }
    let sentence = "Let the node pull the image, or load it onto every node beforehand.".to_owned();
    claim.remedies.retain(|remedy| remedy.patch.is_some());
    claim.remedies.extend(case.patch_container(Some(json!({"imagePullPolicy": "IfNotPresent"})), sentence));
    claim
}

fn unknown(case: &Case<'_, '_>) -> Claim {
    let image = case.image();
    let silent = case.said.is_empty();
    let sentence = if silent {
        format!("The image {image} is not pulled; no Event tells why any more.")
    } else {
        format!("The image {image} is not pulled, and what the runtime says fits no known reason.")
    };
    let kind = if silent { CauseKind::Unknown } else { CauseKind::External };
    let ask = format!(
        "Read the next attempt's Event: kubectl -n {} describe pod {}.",
        case.pod.namespace(),
        case.pod.meta.name
    );
    let mut cause = case.image_cause(kind, sentence);
    cause.managed_by = ownership::managed_by(case.workload);
    Claim {
        slug: "image-pull-failing",
        class: None,
        verdict: if silent { Verdict::Unknown } else { Verdict::Possible },
        what: format!("cannot start: its image {image} is not pulled"),
        cause,
        alternatives: Vec::new(),
        facts: Vec::new(),
        remedies: vec![case.outside(&case.workload.reference(), ask)],
    }
}

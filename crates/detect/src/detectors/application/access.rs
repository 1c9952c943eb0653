//! What the API server does not let a program do, and programs without a token.

mod rules;

use super::Speaker;
use crate::blame;
use crate::detectors::logs::testimony::Forbidden;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{Change, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb};
use rules::{Answer, Grants};
use serde_json::{Value, json};

/// A right is missing, as the API server said; whether it still is, is asked of the roles and bindings.
pub(super) fn forbidden(speaker: &Speaker<'_, '_>, forbidden: &Forbidden) -> Option<Finding> {
    const SLUG: &str = "rbac-denied";
    let (namespace, account) = forbidden.account()?;
    let account = ResourceRef::new(Kind::ServiceAccount, Some(namespace), account);
    let what = words(forbidden);
    let why = format!("ServiceAccount {} may not {what}", describe::name(&account));
    let grants = Grants::of(speaker.view, &account, forbidden);
    let denied = format!("the API server does not let ServiceAccount {} {what}", describe::name(&account));
    let mut finding = match grants.answer {
        // Somebody gave it since; the next attempt will tell.
        Answer::Allowed => return None,
        Answer::Dangling(binding, role) => {
            let cause = blame::missing_reference(speaker.view, binding, &role, "roleRef.name", "/roleRef/name");
            let mut finding = speaker.claim(SLUG, Some("dangling"), &why, cause);
            let words = format!(
                "{} {} refers to {} {}, which does not exist",
                binding.kind,
                describe::object(binding),
                role.kind,
                role.name
            );
            finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, binding, words));
            finding.remedies.push(bind(speaker, binding, &role));
            finding
        }
        Answer::Lacks(role) => {
            let changed = blame::object_change(speaker.view, role, None, |field| {
                field.pointer.starts_with("/rules").then_some(0)
            });
            let name = format!("{} {}", role.kind, describe::object(role));
            let cause = match changed {
                Some(blame) => {
                    let sentence =
                        format!("The rules of {name} were changed at {}: {denied}.", describe::time(blame.change.at));
                    blame.cause(speaker.view, sentence)
                }
                None => {
                    let sentence = format!("No rule of {name}, to which the account is bound, allows it: {denied}.");
                    let mut cause = Cause::plain(CauseKind::Resource, Some(&role.reference()), sentence);
                    cause.managed_by = ownership::managed_by(role);
                    cause.at_field("rules", "/rules", None)
                }
            };
            let mut finding = speaker.claim(SLUG, Some("role-lacks"), &why, cause);
            let words = format!("no rule of {name} allows it");
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, role, words));
            finding.remedies.push(add_rule(role, forbidden, &what));
            finding
        }
        Answer::Unbound => unbound(speaker, &account, forbidden, &why, &denied),
    };
    finding.verdict = if grants.complete { Verdict::Confirmed } else { Verdict::Likely };
    Some(finding)
}

/// What makes a binding hold: the role that it names, or a binding of the role that was meant. The API server takes no
/// change of a roleRef.
fn bind(speaker: &Speaker<'_, '_>, binding: &Object, role: &ResourceRef) -> Remedy {
    let make = format!("Create {} {}", role.kind, describe::name(role));
    match blame::only_near(speaker.view, role) {
        Some(near) => {
            let name = format!("{} {}", binding.kind, describe::object(binding));
            let sentence = format!(
                "Delete {name} and make it again with {} {near} as its roleRef, which cannot be changed; or {}.",
                role.kind,
                make.replacen('C', "c", 1)
            );
            let mut remedy = spot::remedy(RemedyKind::Create, &binding.reference(), sentence);
            remedy.managed_by = ownership::managed_by(binding);
            remedy
        }
        None => spot::remedy(RemedyKind::Create, role, format!("{make}.")),
    }
}

/// `list pods in namespace shop`.
fn words(forbidden: &Forbidden) -> String {
    let Forbidden { verb, resource, group, namespace, .. } = forbidden;
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    match namespace {
        Some(namespace) => format!("{verb} {resource}{group} in namespace {namespace}"),
        None => format!("{verb} {resource}{group} in the whole cluster"),
    }
}

fn rule(forbidden: &Forbidden) -> Value {
    json!({"apiGroups": [forbidden.group], "resources": [forbidden.resource], "verbs": [forbidden.verb]})
}

/// The role with the rule that it lacks.
fn add_rule(role: &Object, forbidden: &Forbidden, what: &str) -> reckon_model::document::Remedy {
    let sentence = format!("Add a rule to {} {} that allows to {what}.", role.kind, describe::object(role));
    let mut remedy = spot::remedy(RemedyKind::Patch, &role.reference(), sentence);
    remedy.managed_by = ownership::managed_by(role);
    let whole = role.whole();
    let rules = whole.as_deref().and_then(|whole| whole.get("rules")).and_then(Value::as_array);
    let mut rules = rules.cloned().unwrap_or_default();
    rules.push(rule(forbidden));
    // A list is written as a whole.
    remedy.patch = (rules.len() <= 20).then(|| json!({"rules": rules}));
    remedy.patch_type = remedy.patch.is_some().then(|| "merge".to_owned());
    remedy
}

/// Nothing binds the account to a role: a binding was deleted, the program runs as another account, or it never had one.
fn unbound(
    speaker: &Speaker<'_, '_>,
    account: &ResourceRef,
    forbidden: &Forbidden,
    why: &str,
    denied: &str,
) -> Finding {
    const SLUG: &str = "rbac-denied";
    let gone = rules::deleted(speaker.view, account);
    let spot = Spot::of(speaker.workload);
    let path = spot.as_ref().map(|spot| spot.path("serviceAccountName"));
    let changed = path.as_ref().and_then(|path| {
        let rank = |field: &FieldChange| path.is_touched_by(field).then_some(0);
        blame::template_change(speaker.view, speaker.workload, Some(speaker.subject), None, rank)
    });
    let own = speaker.pod.spec.service_account_name.as_str();
    let is_default = account.name == "default" && (own.is_empty() || own == "default");
    let (class, cause) = match (gone, changed, &spot, &path) {
        (Some((binding, at)), ..) => {
            let change =
                Change { at, subject: binding.reference(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
            let sentence = format!(
                "{} {} was deleted at {}: {denied}.",
                binding.kind,
                describe::object(binding),
                describe::time(at)
            );
            let mut cause = Cause::changed(&change, 0, sentence);
            cause.managed_by = ownership::managed_by(binding);
            ("unbound", cause)
        }
        (None, Some(blame), ..) => {
            let sentence = format!("{} was {}: {denied}.", blame.field().field, blame.words());
            ("account", blame.cause(speaker.view, sentence))
        }
        (None, None, Some(spot), Some(path)) if is_default => {
            let sentence =
                format!("{} runs as the account default, which has no rights of its own: {denied}.", speaker.who());
            ("account", spot.wrong(path, None, sentence))
        }
        _ => {
            let sentence = format!("No binding gives the account a role for it: {denied}.");
            ("unbound", Cause::plain(CauseKind::Resource, Some(account), sentence))
        }
    };
    let mut finding = speaker.claim(SLUG, Some(class), why, cause);
    let where_to = match &forbidden.namespace {
        Some(namespace) => format!("no RoleBinding in namespace {namespace} and no ClusterRoleBinding"),
        None => "no ClusterRoleBinding".to_owned(),
    };
    let words = format!("{where_to} is for ServiceAccount {}", describe::name(account));
    finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, speaker.workload, words));
    let (role, binding) = match &forbidden.namespace {
        Some(_) => (rules::role(), rules::binding()),
        None => (rules::cluster_role(), rules::cluster_binding()),
    };
    let reference = ResourceRef::new(binding.clone(), forbidden.namespace.as_deref(), &account.name);
    let sentence = format!(
        "Create a {} that allows to {}, and a {} that gives it to ServiceAccount {}.",
        role.name(),
        self::words(forbidden),
        binding.name(),
        describe::name(account)
    );
    finding.remedies.push(spot::remedy(RemedyKind::Create, &reference, sentence));
    finding
}

/// The program finds no token.
pub(super) fn no_token(speaker: &Speaker<'_, '_>) -> Finding {
    const SLUG: &str = "token-missing";
    let why = "it finds no token for the API server".to_owned();
    let spot = Spot::of(speaker.workload);
    let path = spot.as_ref().map(|spot| spot.path("automountServiceAccountToken"));
    let off =
        spot.as_ref().zip(path.as_ref()).is_some_and(|(spot, path)| spot.written(path) == Some(Value::Bool(false)));
    if let (Some(spot), Some(path), true) = (&spot, &path, off) {
        let rank = |field: &FieldChange| path.is_touched_by(field).then_some(0);
        let changed = blame::template_change(speaker.view, speaker.workload, Some(speaker.subject), None, rank);
        let sentence =
            format!("{} asks the API server, and its template says that no token is mounted.", speaker.who());
        let cause = match changed {
            Some(blame) => blame.cause(speaker.view, format!("{} was {}: {sentence}", path.field, blame.words())),
            None => spot.wrong(path, Some(json!(false)), sentence),
        };
        let mut finding = speaker.claim(SLUG, Some("template"), &why, cause);
        finding.verdict = Verdict::Confirmed;
        let words = "automountServiceAccountToken is false".to_owned();
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
        let patch = json!({"automountServiceAccountToken": true});
        finding.remedies.push(spot.patch(Some(patch), "Let the token be mounted."));
        return finding;
    }
    let own = speaker.pod.spec.service_account_name.as_str();
    let name = if own.is_empty() { "default" } else { own };
    let account = ResourceRef::new(Kind::ServiceAccount, speaker.subject.meta.namespace.as_deref(), name);
    let known = speaker.view.look_up(&account).found().and_then(Object::whole);
    let sure = known.is_some_and(|whole| whole.get("automountServiceAccountToken") == Some(&Value::Bool(false)));
    let says = if sure { "says so" } else { "may say so, as its template does not" };
    let sentence = format!(
        "{} asks the API server and has no token mounted: its ServiceAccount {} {says}.",
        speaker.who(),
        describe::name(&account)
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&account), sentence).at_field(
        "automountServiceAccountToken",
        "/automountServiceAccountToken",
        sure.then_some(Value::Bool(false)),
    );
    let mut finding = speaker.claim(SLUG, Some("account"), &why, cause);
    finding.verdict = if sure { Verdict::Confirmed } else { Verdict::Likely };
    finding.remedies.extend(spot.map(|spot| {
        let patch = json!({"automountServiceAccountToken": true});
        spot.patch(
            Some(patch),
            "Let the token be mounted into these pods; the template's word goes before the account's.",
        )
    }));
    finding
}

/// The API server does not know the token.
pub(super) fn unauthorized(speaker: &Speaker<'_, '_>) -> Finding {
    const SLUG: &str = "token-rejected";
    let why = "the API server does not know its token";
    let own = speaker.pod.spec.service_account_name.as_str();
    let name = if own.is_empty() { "default" } else { own };
    let account = ResourceRef::new(Kind::ServiceAccount, speaker.subject.meta.namespace.as_deref(), name);
    let workload = &speaker.workload.reference();
    let restart = || {
        let whose = describe::object(speaker.workload);
        let sentence = format!(
            "Restart {} {whose}, so that its pods get tokens of the account as it is now.",
            speaker.workload.kind.singular()
        );
        spot::remedy(RemedyKind::Restart, workload, sentence)
    };
    let found = speaker.view.look_up(&account);
    if found.is_absent() {
        let path = Spot::of(speaker.workload).map(|spot| spot.path("serviceAccountName"));
        let (field, pointer) = path.map_or_else(Default::default, |path| (path.field, path.pointer));
        let cause = blame::missing_reference(speaker.view, speaker.workload, &account, &field, &pointer);
        let mut finding = speaker.claim(SLUG, Some("account-missing"), why, cause);
        finding.verdict = Verdict::Confirmed;
        let words = format!("there is no ServiceAccount {}", describe::name(&account));
        finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, speaker.workload, words));
        let make = format!("Create ServiceAccount {}, then restart the pods.", describe::name(&account));
        finding.remedies.push(spot::supply(speaker.view, &finding.cause, &account, make));
        return finding;
    }
    let younger = found
        .found()
        .filter(|object| object.meta.created.zip(speaker.subject.meta.created).is_some_and(|(made, pod)| made > pod));
    if let Some(object) = younger {
        let made = object.meta.created;
        let at = made.map(describe::time).unwrap_or_default();
        let sentence = format!(
            "ServiceAccount {} was made anew at {at}, and {} still has a token of the one before, which nobody knows any more.",
            describe::name(&account),
            speaker.who()
        );
        let cause = Cause::plain(CauseKind::Resource, Some(&account), sentence);
        let mut finding = speaker.claim(SLUG, Some("account-recreated"), why, cause);
        finding.verdict = Verdict::Confirmed;
        let words = format!("ServiceAccount {} is younger than the pod", describe::name(&account));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, made, object, words));
        finding.remedies.push(restart());
        return finding;
    }
    let sentence =
        format!("{} was told that it is not known; its ServiceAccount is there and older than the pod.", speaker.who());
    let cause = Cause::plain(CauseKind::Application, Some(workload), sentence);
    let mut finding = speaker.claim(SLUG, Some("unknown"), why, cause);
    let sentence = "It may have kept a token for longer than the hour that it holds for: the kubelet renews the file, and old client libraries read it once.";
    finding.alternatives.push(reckon_model::document::Alternative {
        reference: Some(workload.into()),
        verdict: Verdict::Possible,
        sentence: sentence.to_owned(),
    });
    finding.remedies.push(restart());
    finding
}

/// The annotations by which a ServiceAccount stands for somebody of a cloud.
const IDENTITIES: [&str; 3] =
    ["eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id"];

/// What is written so soon after it was made belongs to its making.
const AS_MADE: SignedDuration = SignedDuration::from_secs(60);

/// A change that was lived with for longer made nothing of what fails now.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// A cloud does not let the program, since its ServiceAccount stands for somebody else there. What the cloud itself lets
/// whom is not known here: without such a change nothing is said.
pub(super) fn cloud(speaker: &Speaker<'_, '_>) -> Option<Finding> {
    let own = speaker.pod.spec.service_account_name.as_str();
    let name = if own.is_empty() { "default" } else { own };
    let account = ResourceRef::new(Kind::ServiceAccount, speaker.subject.meta.namespace.as_deref(), name);
    let account = speaker.view.look_up(&account).found()?;
    let (key, identity) = IDENTITIES.into_iter().find_map(|key| Some((key, account.meta.annotations.get(key)?)))?;
    // Of accounts only who wrote them and when is kept, not what.
    let made = account.meta.created.and_then(|at| at.checked_add(AS_MADE).ok());
    let ended = speaker.ended.unwrap_or(speaker.view.now());
    let since = ended.checked_sub(LATELY).ok();
    let lately = |at: &Timestamp| *at <= ended && Some(*at) > made && Some(*at) >= since;
    let written = account.meta.managers.iter().filter(|manager| manager.time.as_ref().is_some_and(lately));
    let writer = written.max_by_key(|manager| manager.time)?;
    let whose = describe::object(account);
    let at = writer.time?;
    let sentence = format!(
        "ServiceAccount {whose}, which stands for {identity} in the cloud, was changed at {} by {}: since then the cloud does not let {} do what it does.",
        describe::time(at),
        writer.who.manager,
        speaker.who()
    );
    let mut cause = Cause::plain(CauseKind::Change, Some(&account.reference()), sentence);
    cause.at = Some(at);
    cause.managed_by = ownership::managed_by(account);
    let pointer = format!("/metadata/annotations/{}", reckon_model::diff::escape(key));
    let cause = cause.at_field(format!("metadata.annotations[{key}]"), pointer, Some(json!(identity)));
    let why = format!("the cloud denies it since ServiceAccount {whose} was changed");
    let mut finding = speaker.claim("token-rejected", Some("cloud"), &why, cause);
    finding.verdict = Verdict::Likely;
    let words = format!("ServiceAccount {whose} was written  ({})", writer.who.manager);
    finding.evidence.push(Fact::new(Role::Cause, Source::Change, Some(at), account, words));
    let sentence = format!(
        "Give {identity} the right in the cloud (and let it trust this ServiceAccount), or put {key} of ServiceAccount {whose} back, then restart the pods."
    );
    let mut remedy = spot::remedy(RemedyKind::Patch, &account.reference(), sentence);
    remedy.managed_by = ownership::managed_by(account);
    finding.remedies.push(remedy);
    Some(finding)
}

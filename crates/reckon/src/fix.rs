//! `reckon fix`: carries a remedy out, after the server was asked what it would make of it.
//!
//! A fix begins with a diagnosis of its own, so that what is written answers to how things stand. What is written carries
//! the version of the object that was looked at, so that the server refuses it where somebody was faster.

mod plan;
mod revisions;

use crate::again::Again;
use crate::args::{DataFormat, DryRun, FixOptions, Global};
use crate::bundle::Tape;
use crate::exit::{Exit, Failure};
use crate::human::indent;
use crate::remedy;
use crate::run::{connect, scope_here};
use crate::session::{self, Answered};
use crate::style::{Paint, Style};
use crate::terminal::{Terminal, value};
use plan::{Action, Plan};
use reckon_cluster::{Connection, Mode, PatchType, ReadError};
use reckon_model::document::{Problem, Remedy};
use reckon_model::kubectl;
use reckon_model::text::{clean, clean_line, enumerate};
use reckon_model::{FieldChange, Object, ResourceRef, Timestamp};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};

/// How often a write is tried again that met a newer version in which nothing that people write had changed.
const ATTEMPTS: usize = 3;

/// The reason of the Events that tell of fixes.
const REASON: &str = "ReckonFix";

/// Runs the command.
pub(crate) async fn run(global: &Global, terminal: &Terminal, options: &FixOptions) -> Result<Exit, Failure> {
    if !options.apply && options.dry_run == DryRun::None {
        return Err(Failure::new(
            Exit::Usage,
            "without a dry run there is nothing to do but to apply: add --apply, or leave --dry-run=none out",
        ));
    }
    let connection = connect(global).await?;
    let (answered, problem) = found(global, &connection, options).await?;
    let remedy = chosen(&problem, options.option)?;
    let target = remedy.reference.as_ref().map(ResourceRef::from);
    let Some(target) = target else {
        return Err(cannot(&problem, remedy, "it acts on no object of the cluster"));
    };
    if let (Some(false), Some(requires)) = (remedy.allowed, &remedy.requires) {
        let place = target.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        let right = format!("{} {}{place}", requires.verb, requires.resource);
        return Err(Failure::new(Exit::Forbidden, format!("you may not {right}, which this remedy needs")));
    }
    let seen = answered.state.get(&target).cloned();
    let now = connection.read(&target).await?;
    unchanged(seen.as_ref(), &now, &target)?;
    let plan = Plan::of(&connection, remedy, &target, &now).await.map_err(|why| cannot(&problem, remedy, &why))?;
    let fix = Fix { connection: &connection, problem: &problem, remedy, plan, target, seen };

    let mut report = Report { changes: Vec::new(), checked: false, applied: false, told: false };
    if options.dry_run == DryRun::Server {
        report.changes = fix.write(&now, Mode::DryRun).await?.1;
        report.checked = true;
    } else {
        report.changes = fix.plan.changes_without_server(&now);
    }
    let human = options.output.format == DataFormat::Human;
    if human {
        terminal.data(&fix.introduction(&report, terminal.paint(), terminal.width()))?;
    }
    let idle = report.checked && report.changes.is_empty() && fix.plan.action != Action::Evict;
    if idle || !options.apply {
        if human {
            terminal.data(&fix.ending(&report, idle, &Again::cluster(global), terminal.program, options))?;
        }
    } else {
        if !options.yes {
            confirm(&fix.question())?;
        }
        let (after, changes) = fix.write(&now, Mode::Apply).await?;
        report.changes = changes;
        report.applied = true;
        match connection.tell(&after, REASON, &fix.message()).await {
            Ok(()) => report.told = true,
            Err(error) => {
                terminal.warn(&format!("it was done, but no Event could be left that says so: {}", error.why()));
            }
        }
        if human {
            terminal.data(&fix.ending(&report, false, &Again::cluster(global), terminal.program, options))?;
        }
    }
    if !human {
        terminal.data(&value(&fix.document(&report), options.output.format)?)?;
    }
    Ok(Exit::Fine)
}

/// The problem that is meant: by its id, or by the object that it is about.
async fn found(global: &Global, connection: &Connection, options: &FixOptions) -> Result<(Answered, Problem), Failure> {
    let wanted = options.problem.as_str();
    if wanted.contains('/') {
        let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace());
        let target = session::named_object(connection, &[wanted.to_owned()], namespace).await?;
        let answered = session::why(connection, &target, &mut Tape::default()).await?;
        let open = answered.diagnosis.problems.iter().find(|problem| problem.closed.is_none()).cloned();
        let Some(problem) = open else {
            return Err(Failure::new(Exit::NotFound, format!("nothing to fix: {}", answered.diagnosis.sentence)));
        };
        return Ok((answered, problem));
    }
    let scope = scope_here(global, connection, options.all_namespaces);
    let answered = session::problems(connection, &scope, &mut Tape::default()).await?;
    let open = || answered.diagnosis.problems.iter().filter(|problem| problem.closed.is_none());
    let exact: Vec<Problem> = open().filter(|problem| problem.id == wanted).cloned().collect();
    let mut meant = match exact.is_empty() {
        false => exact,
        true => open().filter(|problem| wanted.len() >= 2 && problem.id.starts_with(wanted)).cloned().collect(),
    };
    match (meant.pop(), meant.len()) {
        (Some(problem), 0) => Ok((answered, problem)),
        (Some(_), others) => Err(Failure::new(
            Exit::Usage,
            format!("{} begins the ids of {} problems; write more of it", clean(wanted), others + 1),
        )),
        (None, _) => {
            let (place, hint) = match &scope {
                reckon_detect::Scope::Namespace(namespace) => {
                    (format!(" in namespace {namespace}"), "; -A looks in all of them")
                }
                _ => (String::new(), ""),
            };
            Err(Failure::new(Exit::NotFound, format!("no open problem has the id {}{place}{hint}", clean(wanted))))
        }
    }
}

/// The remedy of this number; without one the first that can be carried out.
fn chosen(problem: &Problem, option: Option<u32>) -> Result<&Remedy, Failure> {
    match option {
        Some(option) => problem.remedies.iter().find(|remedy| remedy.option == option).ok_or_else(|| {
            let there = match problem.remedies.len() {
                0 => "none is known".to_owned(),
                1 => "there is only option 1".to_owned(),
                n => format!("there are options 1 to {n}"),
            };
            Failure::new(Exit::NotFound, format!("problem {} has no option {option}: {there}", problem.id))
        }),
        None => {
            let first = problem.remedies.iter().find(|remedy| remedy.can_be_carried_out());
            first
                .or(problem.remedies.first())
                .ok_or_else(|| Failure::new(Exit::NotFound, format!("no remedy is known for problem {}", problem.id)))
        }
    }
}

fn cannot(problem: &Problem, remedy: &Remedy, why: &str) -> Failure {
    let others: Vec<String> = problem
        .remedies
        .iter()
        .filter(|other| other.option != remedy.option && other.can_be_carried_out())
        .map(|other| other.option.to_string())
        .collect();
    let hint = match others.as_slice() {
        [] => String::new(),
        [one] => format!("; option {one} can be"),
        several => format!("; options {} can be", enumerate(several)),
    };
    let what = clean_line(remedy.sentence.trim_end_matches('.'));
    Failure::new(Exit::Refused, format!("option {} cannot be carried out here: {why}{hint} ({what})", remedy.option))
}

/// Refuses where the object is another than the one that was diagnosed.
fn unchanged(seen: Option<&Object>, now: &Value, target: &ResourceRef) -> Result<(), Failure> {
    let Some(seen) = seen else { return Ok(()) };
    let text = |pointer: &str| now.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let same_one = seen.meta.uid.is_empty() || seen.meta.uid == text("/metadata/uid");
    let volatile = matches!(target.kind.name(), "Pod" | "Node");
    let same_state = match (seen.meta.generation, now.pointer("/metadata/generation").and_then(Value::as_i64)) {
        // Status comes and goes; the generation counts what people write.
        (Some(then), Some(now)) => then == now,
        // Of pods and nodes the status is written all the time and a generation is not everywhere.
        _ if volatile => true,
        // Without a generation it is told by who wrote last, and when.
        _ => {
            written(now)
                <= seen.meta.managers.iter().filter(|it| it.subresource.is_empty()).filter_map(|it| it.time).max()
        }
    };
    if same_one && same_state {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!(
            "{} was changed since it was looked at, and nothing was written: run the command again",
            remedy::subject(target)
        ),
    ))
}

/// When anything but the status was written last.
fn written(object: &Value) -> Option<Timestamp> {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let own = managers.into_iter().flatten().filter(|it| it["subresource"].as_str().unwrap_or_default().is_empty());
    own.filter_map(|it| it["time"].as_str()?.parse().ok()).max()
}

/// A remedy on its way.
struct Fix<'a> {
    connection: &'a Connection,
    problem: &'a Problem,
    remedy: &'a Remedy,
    plan: Plan,
    target: ResourceRef,
    seen: Option<Object>,
}

/// What came of it.
struct Report {
    changes: Vec<FieldChange>,
    checked: bool,
    applied: bool,
    told: bool,
}

impl Fix<'_> {
    /// Writes, or lets the server try; gives the object as it is then and what changed in it.
    async fn write(&self, now: &Value, mode: Mode) -> Result<(Value, Vec<FieldChange>), Failure> {
        let uid = now.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let (patch_type, below, patch) = match &self.plan.action {
            Action::Evict => {
                self.connection.evict(&self.target, uid, mode).await.map_err(|error| self.refused(error))?;
                return Ok((now.clone(), Vec::new()));
            }
            Action::Patch(patch_type, patch) => (*patch_type, None, patch),
            Action::Resize(patch) => (PatchType::Strategic, Some("resize"), patch),
        };
        let mut now = now.clone();
        for attempt in 1.. {
            let guarded = plan::for_version(patch_type, patch, &now);
            match self.connection.patch(&self.target, below, patch_type, &guarded, mode).await {
                Ok(after) => {
                    let changes = plan::changes(&now, &after);
                    return Ok((after, changes));
                }
                // The version is another. If only the status is, what was looked at still stands.
                Err(error @ ReadError::Status { code: 409 | 422, .. }) if attempt < ATTEMPTS => {
                    let newer = self.connection.read(&self.target).await?;
                    let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
                    unchanged(self.seen.as_ref(), &newer, &self.target)?;
                    if version(&newer) == version(&now) {
                        return Err(self.refused(error));
                    }
                    now = newer;
                }
                Err(error) => return Err(self.refused(error)),
            }
        }
        Err(Failure::new(Exit::Refused, "nothing was written"))
    }

    /// A refusal by the server, in a sentence that says that nothing was changed.
    fn refused(&self, error: ReadError) -> Failure {
        match error {
            ReadError::Status { code: 429, message, .. } if self.plan.action == Action::Evict => {
                Failure::new(Exit::Refused, format!("the eviction is refused, and nothing was changed: {message}"))
            }
            ReadError::Status { code, message, .. } if (400..500).contains(&code) => {
                Failure::new(Exit::Refused, format!("the API server refuses it, and nothing was changed: {message}"))
            }
            // Admission answers with a message; a right that is missing, too.
            ReadError::Forbidden { message, .. } => {
                Failure::new(Exit::Forbidden, format!("the API server forbids it, and nothing was changed: {message}"))
            }
            other => other.into(),
        }
    }

    fn introduction(&self, report: &Report, paint: Paint, width: usize) -> String {
        let head =
            format!("FIX {} of problem {}: {}", self.remedy.option, self.problem.id, remedy::subject(&self.target));
        let mut out = format!("{}\n", paint.with(Style::Strong, &clean_line(&head)));
        let sentence = crate::style::wrap(&clean_line(&self.remedy.sentence), width.saturating_sub(2));
        out.push_str(&format!("{}\n", indent(&sentence, 2)));
        if let Some(note) = &self.plan.note {
            out.push_str(&format!("  {}\n", clean_line(note)));
        }
        if let Some(owner) = &self.remedy.managed_by {
            let line = format!("{} owns it: change it there too, or the next sync reverts this", clean_line(owner));
            out.push_str(&format!("  {}\n", paint.with(Style::Warning, &line)));
        }
        for change in &report.changes {
            for (sign, value, style) in [("-", &change.from, Style::Critical), ("+", &change.to, Style::Good)] {
                if let Some(value) = value {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let line = format!("{sign} {}: {}", change.field, reckon_model::text::shorten(&text, 400));
                    out.push_str(&format!("  {}\n", paint.with(style, &clean_line(&line))));
                }
            }
        }
        out
    }

    fn ending(&self, report: &Report, idle: bool, again: &Again, program: &str, options: &FixOptions) -> String {
        let namespace = match (&self.target.namespace, options.all_namespaces) {
            (_, true) => " -A".to_owned(),
            (Some(namespace), false) => format!(" -n {}", kubectl::word(namespace)),
            (None, false) => String::new(),
        };
        if idle {
            return format!("{} is as the remedy wants it already; nothing to do\n", remedy::subject(&self.target));
        }
        if report.applied {
            let told = if report.told { ", and an Event on it says so" } else { "" };
            let subject = &self.problem.subject.reference;
            let place = subject.namespace.as_ref().map(|it| format!(" -n {}", kubectl::word(it)));
            let next = format!(
                "{program} why {}{}{}",
                kubectl::word(&crate::human::named(subject)),
                place.unwrap_or_default(),
                again.reckon
            );
            return format!("done: {}{told}\nnext: {}\n", self.plan.done, clean_line(&next));
        }
        let next = format!(
            "{program} fix {} --option {} --apply{namespace}{}",
            kubectl::word(&options.problem),
            self.remedy.option,
            again.reckon
        );
        let asked = match self.plan.action {
            Action::Patch(..) | Action::Resize(_) => "the API server would take it",
            Action::Evict => "the API server would let the pod be moved away",
        };
        format!("{asked}; nothing was changed (dry run)\nnext: {}\n", clean_line(&next))
    }

    fn question(&self) -> String {
        format!("{}? [y/N] ", clean_line(&self.plan.question))
    }

    /// What the Event says.
    fn message(&self) -> String {
        let sentence = reckon_model::text::shorten(self.remedy.sentence.trim(), 600);
        format!("reckon fix {} --option {}: {sentence}", self.problem.id, self.remedy.option)
    }

    fn document(&self, report: &Report) -> Value {
        json!({
            "apiVersion": reckon_model::document::API_VERSION,
            "kind": "Fix",
            "problem": self.problem.id,
            "remedy": self.remedy,
            "changes": report.changes.iter().map(|change| json!({
                "field": change.field, "pointer": change.pointer, "from": change.from, "to": change.to,
            })).collect::<Vec<_>>(),
            "dryRun": report.checked,
            "applied": report.applied,
            "event": report.told,
        })
    }
}

/// Asks a person. Who is none has to say `--yes`.
fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask on: add --yes to apply without a question"));
    }
    let mut error = std::io::stderr().lock();
    let _ = write!(error, "{question}").and_then(|()| error.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::Kind;

    fn object(value: &Value) -> Object {
        Object::decode(value.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn a_fix_counts_for_what_was_looked_at_and_for_nothing_else() {
        let deployment = |generation: i64, version: &str, uid: &str| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web",
                "uid": uid, "generation": generation, "resourceVersion": version}})
        };
        let target = ResourceRef::new(Kind::Deployment, Some("shop"), "web");
        let seen = object(&deployment(4, "10", "u"));
        let is = |now: &Value| unchanged(Some(&seen), now, &target).is_ok();
        assert!(is(&deployment(4, "11", "u")), "only the status was written");
        assert!(!is(&deployment(5, "11", "u")), "somebody wrote the spec");
        assert!(!is(&deployment(4, "10", "v")), "another of the same name");
        let map = |time: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "web", "uid": "u",
                "managedFields": [{"manager": "kubectl", "operation": "Update", "time": time}]}})
        };
        let seen = object(&map("2026-01-01T00:00:00Z"));
        let is = |now: &Value| unchanged(Some(&seen), now, &target).map_err(|failure| failure.exit);
        assert_eq!(is(&map("2026-01-01T00:00:00Z")), Ok(()));
        assert_eq!(is(&map("2026-01-01T00:00:05Z")), Err(Exit::Refused));
    }
}

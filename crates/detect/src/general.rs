//! Pages about what no single failure is: how Kubernetes and the kernel decide.

use crate::catalogue::Page;

/// The pages, each under `# Topic NAME: Title`.
const PAGES: &str = include_str!("general.md");

/// The names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    written().map(|(name, _, _)| name)
}

/// The page of this name.
pub(crate) fn page(name: &str) -> Option<Page> {
    let (_, title, body) = written().find(|(known, _, _)| *known == name)?;
    Some(Page { title: title.to_owned(), body: format!("{}\n", body.trim()) })
}

fn written() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    PAGES.split("# Topic ").filter_map(|page| {
        let (head, body) = page.split_once('\n')?;
        let (name, title) = head.split_once(": ")?;
        Some((name, title, body))
    })
}

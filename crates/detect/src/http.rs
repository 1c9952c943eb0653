//! What HTTP statuses mean on the way to and from a workload.

use crate::catalogue::Page;

/// The pages, each under `# HTTP status N`.
const PAGES: &str = include_str!("http.md");

/// The page about a status. The numbers do not meet those of exit codes, which end at 255.
pub(crate) fn page(status: i64) -> Option<Page> {
    let pages = PAGES.split("# HTTP status ").filter_map(|page| page.split_once('\n'));
    let (_, body) = pages.into_iter().find(|(head, _)| head.trim().parse() == Ok(status))?;
    Some(Page { title: format!("HTTP status {status}"), body: format!("{}\n", body.trim()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_api_server_and_a_proxy_answer_has_a_page() {
        for status in [400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 502, 503, 504] {
            let page = page(status).unwrap();
            assert_eq!(page.title, format!("HTTP status {status}"));
            assert!(page.body.len() > 100 && !page.body.contains("# HTTP"), "{status}");
        }
        assert!(page(200).is_none() && page(137).is_none());
    }
}

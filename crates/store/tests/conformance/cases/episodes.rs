use crate::facts::*;
use reckon_model::ProblemId;
use reckon_model::record::Turn;
use reckon_store::{EpisodeQuery, Snapshot, Standing};

pub(crate) async fn a_problem_opens_changes_and_closes_and_opens_again(store: Db) {
    let told = [
        problem(1, "p", 1, Turn::Opened, "first"),
        problem(2, "p", 1, Turn::Changed, "clearer"),
        problem(3, "q", 1, Turn::Opened, "other"),
        problem(4, "p", 1, Turn::Closed, "clearer"),
        problem(5, "p", 2, Turn::Opened, "again"),
    ];
    fill(&store, "a", &told.map(|entry| vec![entry])).await;
    let ask = async |query: EpisodeQuery| store.episodes(&query, None, 10).await.unwrap().episodes;
    let problems = vec![ProblemId("p".to_owned())];
    let episodes = ask(EpisodeQuery { problems, ..EpisodeQuery::default() }).await;
    let [second, first] = &episodes[..] else { panic!("{episodes:?}") };
    assert_eq!((second.episode, second.opened, second.closed, second.title.as_str()), (2, at(5), None, "again"));
    assert_eq!((first.episode, first.opened, first.turned, first.closed), (1, at(1), at(4), Some(at(4))));
    assert_eq!((first.title.as_str(), first.reason.as_deref()), ("clearer", Some("it is ready again")));
    assert_eq!((&first.subject, &first.workload), (&pod("shop", "checkout-1"), &Some(deployment("shop", "checkout"))));
    let count = async |query: EpisodeQuery| ask(query).await.len();
    let all = EpisodeQuery::default();
    assert_eq!(count(EpisodeQuery { standing: Some(Standing::Open), ..all.clone() }).await, 2);
    assert_eq!(count(EpisodeQuery { standing: Some(Standing::Closed), ..all.clone() }).await, 1);
    assert_eq!(count(EpisodeQuery { from: Some(at(5)), ..all.clone() }).await, 2);
    assert_eq!(count(EpisodeQuery { from: Some(at(4)), ..all.clone() }).await, 3);
    assert_eq!(count(EpisodeQuery { to: Some(at(3)), ..all.clone() }).await, 1);
    assert_eq!(count(EpisodeQuery { namespaces: vec!["bank".to_owned()], ..all.clone() }).await, 0);
    assert_eq!(count(EpisodeQuery { failures: vec!["oom-killed".to_owned()], ..all.clone() }).await, 3);
    assert_eq!(count(EpisodeQuery { clusters: vec![cluster("b")], ..all }).await, 0);
}

pub(crate) async fn episodes_are_paged_latest_first(store: Db) {
    let told = (0..25).map(|at| vec![problem(at / 2, &format!("p{at}"), 1, Turn::Opened, "t")]).collect::<Vec<_>>();
    fill(&store, "a", &told).await;
    fill(&store, "b", &told).await;
    let query = EpisodeQuery { standing: Some(Standing::Open), ..EpisodeQuery::default() };
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.episodes(&query, cursor.as_ref(), 7).await.unwrap();
        seen.extend(page.episodes);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.is_sorted_by(|a, b| (a.opened, &a.cluster, &a.problem) > (b.opened, &b.cluster, &b.problem)));
}

pub(crate) async fn the_document_of_an_episode_is_kept(store: Db) {
    fill(&store, "a", &[vec![problem(1, "p", 1, Turn::Opened, "t")]]).await;
    let (shop, p) = (cluster("a"), ProblemId("p".to_owned()));
    assert_eq!(store.snapshot(&shop, &p, 1).await.unwrap(), None);
    for snapshot in [Snapshot { at: at(2), bytes: vec![0, 255, 7] }, Snapshot { at: at(3), bytes: vec![1; 100_000] }] {
        store.keep_snapshot(&shop, &p, 1, snapshot.clone()).await.unwrap();
        assert_eq!(store.snapshot(&shop, &p, 1).await.unwrap(), Some(snapshot.clone()));
        let page = store.episodes(&EpisodeQuery::default(), None, 9).await.unwrap();
        assert_eq!(page.episodes[0].snapshot, Some(snapshot.at));
    }
    assert_eq!(store.snapshot(&shop, &p, 2).await.unwrap(), None);
    assert_eq!(store.snapshot(&cluster("b"), &p, 1).await.unwrap(), None);
}

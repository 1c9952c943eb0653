use crate::facts::*;
use reckon_store::{Grant, TokenHash, TokenId};

pub(crate) async fn a_token_is_known_by_its_hash_until_it_is_revoked_or_expires(store: Db) {
    let agent = store.issue(Grant::Agent(cluster("a")), "the shop's", None, at(0)).await.unwrap();
    let user = store.issue(Grant::User("ann".to_owned()), "laptop", Some(at(100)), at(1)).await.unwrap();
    assert_ne!(agent.secret.reveal(), user.secret.reveal());
    assert!(agent.secret.reveal().starts_with("reckon_agent_") && agent.secret.reveal().len() == 13 + 43);
    assert!(!format!("{agent:?}").contains(&agent.secret.reveal()[13..]));
    let who = async |secret: &str, ms| store.who(&TokenHash::of(secret), at(ms)).await.unwrap();
    let known = who(agent.secret.reveal(), 5).await.unwrap();
    assert_eq!((known.id, known.grant), (agent.id.clone(), Grant::Agent(cluster("a"))));
    assert_eq!(who(user.secret.reveal(), 99).await.unwrap().grant, Grant::User("ann".to_owned()));
    assert_eq!(who(user.secret.reveal(), 100).await, None);
    assert_eq!(who("reckon_agent_", 5).await, None);
    let tokens = store.tokens().await.unwrap();
    assert_eq!(tokens.iter().map(|token| token.label.as_str()).collect::<Vec<_>>(), ["the shop's", "laptop"]);
    assert!(store.revoke(&agent.id).await.unwrap());
    assert!(!store.revoke(&agent.id).await.unwrap());
    assert!(!store.revoke(&TokenId("none".to_owned())).await.unwrap());
    assert_eq!(who(agent.secret.reveal(), 5).await, None);
    assert_eq!(store.tokens().await.unwrap().len(), 1);
}

pub(crate) async fn an_enrolment_token_enrols_one_agent(store: Db) {
    let enrol = store.issue(Grant::Enrol, "the shop's", Some(at(100)), at(0)).await.unwrap();
    let hash = TokenHash::of(enrol.secret.reveal());
    assert_eq!(store.enrol(&hash, &cluster("a"), at(100)).await.unwrap(), None);
    // Of many who try at the same time one comes through.
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.enrol(&hash, &cluster("a"), at(50)).await.unwrap() })
        })
        .collect();
    let mut agents = Vec::new();
    for one in tries {
        agents.extend(one.await.unwrap());
    }
    let [agent] = &agents[..] else { panic!("{agents:?}") };
    let hash = TokenHash::of(agent.secret.reveal());
    assert_eq!(store.who(&hash, at(1_000)).await.unwrap().unwrap().grant, Grant::Agent(cluster("a")));
    assert_eq!(store.tokens().await.unwrap()[0].label, "the shop's");
    // An agent's token enrols nobody.
    assert_eq!(store.enrol(&hash, &cluster("b"), at(50)).await.unwrap(), None);
    assert_eq!(store.tokens().await.unwrap().len(), 1);
}

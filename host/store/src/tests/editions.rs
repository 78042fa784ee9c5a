//! Versions of plugins in use and in quarantine, and positions set aside for one on trial: there after
//! reopening, gone with their connector, and empty in a file that was made before they were known.

use super::basics::connector;
use crate::{Edition, Store};

#[tokio::test]
async fn versions_outlive_the_store_and_go_with_their_connector() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(store.editions().unwrap().is_empty());
    assert!(store.quarantine().unwrap().is_empty());
    store.put_connector(connector("one")).await.unwrap();
    let edition = Edition {
        digests: vec!["aa".to_owned(), "bb".to_owned()],
        access: vec!["read directory `/in`".to_owned()],
    };
    store.set_edition("one", edition.clone()).await.unwrap();
    store.set_edition("two", Edition::default()).await.unwrap();
    store
        .set_quarantine("cc", Some("it trapped"))
        .await
        .unwrap();
    store.set_quarantine("dd", Some("it spun")).await.unwrap();
    store.set_quarantine("dd", None).await.unwrap();
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.editions().unwrap()["one"], edition);
    assert_eq!(store.editions().unwrap()["two"], Edition::default());
    let quarantine = store.quarantine().unwrap();
    assert_eq!(quarantine["cc"], "it trapped");
    assert_eq!(quarantine.len(), 1);
    assert!(store.delete_connector("one", false).await.unwrap());
    assert!(!store.editions().unwrap().contains_key("one"));
    assert!(store.editions().unwrap().contains_key("two"));
}

#[tokio::test]
async fn positions_from_before_a_trial_are_kept_until_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let point = |partition: &str, position: &'static str| (partition.to_owned(), position.into());
    let old = [point("a", "1"), point("b", "1")];
    let store = Store::open(directory.path()).unwrap();
    assert!(!store.put_back("one").await.unwrap());
    assert_eq!(store.aside("one").unwrap(), None);
    store.commit_positions("one", &old, &[]).await.unwrap();
    store.commit_positions("one-more", &old, &[]).await.unwrap();
    store.set_aside("one").await.unwrap();
    let new = [point("b", "x"), point("c", "x")];
    let left = ["a".to_owned()];
    store.commit_positions("one", &new, &left).await.unwrap();
    // A second version on trial, before the first one was trusted.
    store.set_aside("one").await.unwrap();
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.positions("one").unwrap(), new);
    assert_eq!(store.aside("one").unwrap().unwrap(), old);
    assert!(store.put_back("one").await.unwrap());
    assert_eq!(store.positions("one").unwrap(), old);
    assert_eq!(store.positions("one-more").unwrap(), old);
    assert_eq!(store.aside("one").unwrap(), None);
    assert!(!store.put_back("one").await.unwrap());
}

#[tokio::test]
async fn positions_set_aside_end_with_trust_and_with_the_connector() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for name in ["trusted", "deleted", "empty"] {
        store.set_aside(name).await.unwrap();
        let point = ("p".to_owned(), "new".into());
        store.commit_positions(name, &[point], &[]).await.unwrap();
    }
    let trusted = Edition::default();
    store.set_edition("trusted", trusted).await.unwrap();
    assert!(!store.put_back("trusted").await.unwrap());
    assert_eq!(store.positions("trusted").unwrap().len(), 1);
    store.delete_connector("deleted", true).await.unwrap();
    assert!(!store.put_back("deleted").await.unwrap());
    // No positions are positions too.
    assert!(store.put_back("empty").await.unwrap());
    assert!(store.positions("empty").unwrap().is_empty());
}

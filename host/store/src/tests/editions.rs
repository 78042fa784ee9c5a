//! Versions of plugins in use and in quarantine: there after reopening, gone with their connector,
//! and empty in a file that was made before they were known.

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

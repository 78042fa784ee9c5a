//! A transform: keeps, drops and refuses records, each with its origin.

use connect_rows::Builder;

use crate::fixtures::{batch, plugin, scope, settings, short};

#[tokio::test]
async fn outputs_know_their_inputs_and_refusals_their_places() {
    let plugin = plugin("keep-transform").await;
    let mut transform = plugin.transform(scope(short())).await.unwrap();
    transform
        .open(&settings(&plugin, &[("text", "keep")]))
        .await
        .unwrap();
    let applied = transform
        .apply(&batch(0, &["keep 1", "drop", "keep 2"]))
        .await
        .unwrap();
    let kept: Vec<_> = applied
        .batch
        .records()
        .map(|record| (record.origin(), record.value().unwrap()))
        .collect();
    assert_eq!(kept, [(0, "keep 1".into()), (2, "keep 2".into())]);
    assert_eq!(applied.rejected, []);

    let mut builder = Builder::new();
    builder
        .add()
        .topic("topic")
        .partition("p")
        .finish()
        .unwrap();
    let applied = transform.apply(&builder.finish()).await.unwrap();
    assert!(applied.batch.is_empty());
    assert_eq!(
        (
            applied.rejected[0].index,
            applied.rejected[0].reason.as_str()
        ),
        (0, "has no value")
    );
    transform.close().await.unwrap();
}

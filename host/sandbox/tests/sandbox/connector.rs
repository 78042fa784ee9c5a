//! Questions about settings, asked of throw-away instances.

use connect_sandbox::{Access, Need, OptionKind, Role};

use crate::fixtures::{plugin, settings};

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let plugin = plugin("seq-source").await;
    let description = plugin.description();
    assert_eq!(
        (description.name.as_str(), plugin.role()),
        ("seq-source", Role::Source)
    );
    assert_eq!(description.version, "0.1.0");
    assert_eq!(plugin.digest().len(), 64);
    let key = description
        .options
        .iter()
        .find(|option| option.key == "key")
        .unwrap();
    assert_eq!(
        (key.kind, key.default.as_deref()),
        (OptionKind::Text, Some("none"))
    );
    assert_eq!(key.allowed, ["none", "number", "partition"]);
    assert!(format!("{plugin:?}").contains(plugin.digest()));
}

#[tokio::test]
async fn what_it_needs_depends_on_its_settings() {
    let plugin = plugin("needs-dir").await;
    let needs = plugin
        .needs(&settings(&plugin, &[("path", "x")]))
        .await
        .unwrap();
    assert_eq!(needs, []);
    let needs = plugin
        .needs(&settings(
            &plugin,
            &[("path", "x"), ("directory", "d"), ("write", "true")],
        ))
        .await;
    assert_eq!(
        needs.unwrap(),
        [Need {
            kind: "write-directory".into(),
            target: "d".into()
        }]
    );
}

#[tokio::test]
async fn its_settings_are_checked_and_spread_over_tasks() {
    let plugin = plugin("seq-source").await;
    let given = settings(&plugin, &[("count", "5")]);
    assert_eq!(
        plugin.validate(&given, &Access::default()).await.unwrap(),
        []
    );
    let plan = plugin
        .task_settings(&given, 4, &Access::default())
        .await
        .unwrap();
    assert_eq!((plan.tasks.len(), plan.recheck), (1, None));
    assert!(plan.tasks[0].contains(&("count".to_owned(), "5".to_owned())));
}

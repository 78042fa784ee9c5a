//! Questions about settings. Each is asked of a fresh instance that is thrown away afterwards, so
//! that no answer depends on an earlier one; `describe` and `needs` touch nothing, the others what
//! was granted.

use std::time::Duration;

use crate::access::Access;
use crate::bindings::v0_1::{self, exports::rocketmq::connect::connector};
use crate::description::Description;
use crate::error::{CallError, Problem};
use crate::grants::Need;
use crate::limits::Limits;
use crate::plugin::Plugin;

/// Longest kind and target of a need, in bytes, and most needs of one answer.
const NEED_KIND_BYTES: usize = 64;
const NEED_TARGET_BYTES: usize = 4_096;
const NEEDS: usize = 256;
/// Most settings and bytes of one task.
const TASK_SETTINGS: usize = 4_096;
const TASK_BYTES: usize = 1 << 20;

/// How a connector is spread over tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The settings of each task; none, with `recheck`, when there is nothing to do yet.
    pub tasks: Vec<Vec<(String, String)>>,
    /// Ask again after this time.
    pub recheck: Option<Duration>,
}

impl Plugin {
    /// What an instance may use that is only asked.
    fn asked_limits(&self) -> Limits {
        let settings = &self.shared().settings;
        let mut limits = settings.defaults.clone();
        if let Some(changes) = settings.plugins.get(&**self.name()) {
            limits.change(changes);
        }
        limits
    }

    pub(crate) async fn ask_description(&self) -> Result<Description, CallError> {
        let mut guest = self
            .connector(&self.asked_limits().tight(), &Access::default())
            .await?;
        let description = guest
            .call("describe", async |exports, store| {
                exports.call_describe(store).await
            })
            .await?;
        Ok(description.into())
    }

    /// What the plugin will touch with these settings. Runs without access to anything.
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for needs without end.
    pub async fn needs(&self, settings: &[(String, String)]) -> Result<Vec<Need>, CallError> {
        const CALL: &str = "needs";
        let mut guest = self
            .connector(&self.asked_limits().tight(), &Access::default())
            .await?;
        let given = v0_1::settings(settings);
        let needs = guest
            .call(CALL, async |exports, store| {
                exports.call_needs(store, &given).await
            })
            .await?;
        if needs.len() > NEEDS {
            return Err(guest.answer(
                CALL,
                &format!("{} needs, at most {NEEDS} are accepted", needs.len()),
            ));
        }
        for need in &needs {
            if need.kind.len() > NEED_KIND_BYTES || need.target.len() > NEED_TARGET_BYTES {
                let (kind, target) = (need.kind.len(), need.target.len());
                let reason =
                    format!("a need with {kind} bytes of kind and {target} of target is too long");
                return Err(guest.answer(CALL, &reason));
            }
        }
        Ok(needs
            .into_iter()
            .map(|need| Need {
                kind: need.kind,
                target: need.target,
            })
            .collect())
    }

    /// What is wrong with these settings, as the plugin sees it; empty when nothing is.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn validate(
        &self,
        settings: &[(String, String)],
        access: &Access,
    ) -> Result<Vec<Problem>, CallError> {
        let mut guest = self.connector(&self.asked_limits(), access).await?;
        let given = v0_1::settings(settings);
        let problems = guest
            .call("validate", async |exports, store| {
                exports.call_validate(store, &given).await
            })
            .await?;
        Ok(v0_1::problems(problems))
    }

    /// Spreads a connector over at most `max_tasks` tasks.
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for more tasks than asked for, or too much
    /// in one of them.
    pub async fn task_settings(
        &self,
        settings: &[(String, String)],
        max_tasks: u32,
        access: &Access,
    ) -> Result<Plan, CallError> {
        const CALL: &str = "task-settings";
        let mut guest = self.connector(&self.asked_limits(), access).await?;
        let given = v0_1::settings(settings);
        let plan = guest
            .ask(CALL, async |exports, store| {
                exports.call_task_settings(store, &given, max_tasks).await
            })
            .await?;
        checked(plan, max_tasks).map_err(|reason| guest.answer(CALL, &reason))
    }
}

fn checked(plan: connector::Plan, max_tasks: u32) -> Result<Plan, String> {
    if plan.tasks.len() > max_tasks as usize {
        return Err(format!(
            "{} tasks, at most {max_tasks} were asked for",
            plan.tasks.len()
        ));
    }
    for (number, task) in plan.tasks.iter().enumerate() {
        let bytes: usize = task
            .iter()
            .map(|setting| setting.key.len() + setting.value.len())
            .sum();
        if task.len() > TASK_SETTINGS || bytes > TASK_BYTES {
            return Err(format!(
                "task {number} has {} settings of {bytes} bytes: too much",
                task.len()
            ));
        }
    }
    let recheck = (plan.recheck_ms > 0).then(|| Duration::from_millis(plan.recheck_ms.into()));
    Ok(Plan {
        tasks: plan.tasks.into_iter().map(v0_1::setting_pairs).collect(),
        recheck,
    })
}

//! A loaded plugin: compiled, type-checked, described. Makes instances; knows no connector.

use std::fmt;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::Role;
use crate::access::Access;
use crate::bindings::v0_1::exports::rocketmq::connect::{connector, sink, source, transform};
use crate::birth::{Birth, INSTANTIATE, Origin};
use crate::call::Guest;
use crate::context::{Context, Seeks, SinkContext, SourceContext};
use crate::description::Description;
use crate::engine::Shared;
use crate::error::CallError;
use crate::limits::Limits;
use crate::log::Who;
use crate::meter::Meter;
use crate::sink::SinkInstance;
use crate::source::SourceInstance;
use crate::state::State;
use crate::transform::TransformInstance;

/// A plugin, ready to make instances. Cheap to clone. Its code is freed when the last clone and
/// the last instance are gone.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    shared: Arc<Shared>,
    digest: String,
    origin: Origin,
    roles: Roles,
    description: Description,
    /// The name, for errors and logs; the file's until the plugin has said its own.
    name: Arc<str>,
    asked: Meter,
}

/// Where a plugin's exports are.
#[derive(Clone)]
pub(crate) struct Roles {
    connector: connector::GuestIndices,
    role: RoleExports,
}

#[derive(Clone)]
enum RoleExports {
    Source(source::GuestIndices),
    Sink(sink::GuestIndices),
    Transform(transform::GuestIndices),
}

/// One task's instance: on whose behalf and within which bounds.
#[derive(Clone, Debug)]
pub struct TaskScope {
    /// The connector's name, for the log.
    pub connector: String,
    /// The task's number, for the log.
    pub task: u32,
    /// What the instance may use.
    pub limits: Limits,
    /// What it may touch.
    pub access: Access,
    /// Counts what it uses; the same one for all instances of a task.
    pub meter: Meter,
}

impl Roles {
    pub(crate) fn find(pre: &InstancePre<State>, role: Role) -> wasmtime::Result<Self> {
        Ok(Self {
            connector: connector::GuestIndices::new(pre)?,
            role: match role {
                Role::Source => RoleExports::Source(source::GuestIndices::new(pre)?),
                Role::Sink => RoleExports::Sink(sink::GuestIndices::new(pre)?),
                Role::Transform => RoleExports::Transform(transform::GuestIndices::new(pre)?),
            },
        })
    }
}

impl RoleExports {
    /// Whether the exports have the right types, so that no task can fail for that.
    fn check(&self, store: &mut Store<State>, at: &Instance) -> wasmtime::Result<()> {
        match self {
            Self::Source(exports) => exports.load(store, at).map(|_| ()),
            Self::Sink(exports) => exports.load(store, at).map(|_| ()),
            Self::Transform(exports) => exports.load(store, at).map(|_| ()),
        }
    }
}

impl Plugin {
    pub(crate) fn new(
        shared: Arc<Shared>,
        digest: String,
        origin: Origin,
        roles: Roles,
        file: Arc<str>,
    ) -> Self {
        let description = Description::unknown();
        Self {
            inner: Arc::new(Inner {
                shared,
                digest,
                origin,
                roles,
                description,
                name: file,
                asked: Meter::default(),
            }),
        }
    }

    /// Sets what the plugin said of itself; part of loading.
    pub(crate) fn describe_as(&mut self, description: Description) {
        let inner = Arc::make_mut(&mut self.inner);
        inner.name = Arc::from(description.name.as_str());
        inner.description = description;
    }

    /// SHA-256 of the file, in lower-case hexadecimal: the plugin's identity.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// What it does in a connector.
    pub fn role(&self) -> Role {
        match &self.inner.roles.role {
            RoleExports::Source(_) => Role::Source,
            RoleExports::Sink(_) => Role::Sink,
            RoleExports::Transform(_) => Role::Transform,
        }
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Counts what the instances use that are only asked about the plugin and its settings, all of them
    /// together: none of them has a task. Like the instances of a task they have one share of a core.
    pub fn asked(&self) -> &Meter {
        &self.inner.asked
    }

    /// Bytes that may come out of one call where the limits name none.
    pub fn hostcall_bytes(&self) -> u64 {
        self.inner.origin.hostcall_bytes
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.inner.name
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Makes an instance for one source task; [`SourceInstance::open`] comes first.
    ///
    /// # Errors
    /// The plugin is no source ([`CallError::Answer`]), a granted directory is gone
    /// ([`CallError::Host`]), or instantiation failed.
    pub async fn source(
        &self,
        scope: TaskScope,
        context: Arc<dyn SourceContext>,
    ) -> Result<SourceInstance, CallError> {
        let RoleExports::Source(exports) = &self.inner.roles.role else {
            return Err(self.other_role(Role::Source));
        };
        let guest = self
            .task(scope, Context::Source(context), |store, at| {
                exports.load(store, at)
            })
            .await?;
        Ok(SourceInstance::new(
            guest,
            self.shared().settings.batch.clone(),
        ))
    }

    /// Makes an instance for one sink task; [`SinkInstance::open`] comes first.
    ///
    /// # Errors
    /// As for [`Self::source`].
    pub async fn sink(
        &self,
        scope: TaskScope,
        context: Arc<dyn SinkContext>,
    ) -> Result<SinkInstance, CallError> {
        let RoleExports::Sink(exports) = &self.inner.roles.role else {
            return Err(self.other_role(Role::Sink));
        };
        let context = Context::Sink(Arc::clone(&context), Seeks::default());
        let guest = self
            .task(scope, context, |store, at| exports.load(store, at))
            .await?;
        Ok(SinkInstance::new(guest))
    }

    /// Makes an instance of a transform; [`TransformInstance::open`] comes first.
    ///
    /// # Errors
    /// As for [`Self::source`].
    pub async fn transform(&self, scope: TaskScope) -> Result<TransformInstance, CallError> {
        let RoleExports::Transform(exports) = &self.inner.roles.role else {
            return Err(self.other_role(Role::Transform));
        };
        let guest = self
            .task(scope, Context::Nobody, |store, at| exports.load(store, at))
            .await?;
        Ok(TransformInstance::new(
            guest,
            self.shared().settings.batch.clone(),
        ))
    }

    /// A throw-away instance that is asked about settings.
    pub(crate) async fn connector(
        &self,
        limits: &Limits,
        access: &Access,
    ) -> Result<Guest<connector::Guest>, CallError> {
        let who = Who {
            plugin: Arc::clone(self.name()),
            connector: Arc::from(""),
            task: 0,
        };
        let birth = Birth {
            who,
            limits,
            access,
            context: Context::Nobody,
            meter: self.asked().clone(),
        };
        let roles = &self.inner.roles;
        let load = |store: &mut Store<State>, at: &Instance| {
            roles.role.check(store, at)?;
            roles.connector.load(store, at)
        };
        Guest::new(&self.inner.origin, birth, load).await
    }

    async fn task<E>(
        &self,
        scope: TaskScope,
        context: Context,
        load: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<E>,
    ) -> Result<Guest<E>, CallError> {
        let TaskScope {
            connector,
            task,
            limits,
            access,
            meter,
        } = scope;
        let who = Who {
            plugin: Arc::clone(self.name()),
            connector: connector.into(),
            task,
        };
        let birth = Birth {
            who,
            limits: &limits,
            access: &access,
            context,
            meter,
        };
        Guest::new(&self.inner.origin, birth, load).await
    }

    fn other_role(&self, wanted: Role) -> CallError {
        let reason = format!("it is a {}, not a {wanted}", self.role());
        CallError::Answer {
            plugin: Arc::clone(self.name()),
            call: INSTANTIATE,
            reason,
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, digest, .. } = &*self.inner;
        f.debug_struct("Plugin")
            .field("name", name)
            .field("version", &self.description().version)
            .field("role", &self.role())
            .field("digest", digest)
            .finish()
    }
}

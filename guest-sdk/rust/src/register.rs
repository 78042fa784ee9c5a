//! The one macro that makes a component of a type. Nothing else.

/// Makes the crate a plugin: exports the functions of one role for one type. Once per crate, in a
/// crate of type `cdylib`, built for `wasm32-wasip2`; on other targets it only checks the type.
///
/// ```ignore
/// connect_sdk::register!(source: MySource);
/// connect_sdk::register!(sink: MySink);
/// connect_sdk::register!(transform: MyTransform);
/// ```
#[macro_export]
macro_rules! register {
    (source: $plugin:ty) => {
        $crate::__register!(source, SourceTask, Source, $plugin);
    };
    (sink: $plugin:ty) => {
        $crate::__register!(sink, SinkTask, Sink, $plugin);
    };
    (transform: $plugin:ty) => {
        $crate::__register!(transform, TransformTask, Transform, $plugin);
    };
}

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($role:ident, $task:ident, $trait:ident, $plugin:ty) => {
        #[allow(unsafe_code, reason = "a component exports raw functions")]
        const _: () = {
            struct Registered;

            impl $crate::__private::Slot for Registered {
                type Plugin = $plugin;
                type Task = $crate::__private::$task<$plugin>;

                fn with<R>(act: impl FnOnce(&mut Self::Task) -> R) -> R {
                    ::std::thread_local! {
                        static TASK: ::std::cell::RefCell<$crate::__private::$task<$plugin>> =
                            const { ::std::cell::RefCell::new($crate::__private::$task::new()) };
                    }
                    TASK.with_borrow_mut(act)
                }
            }

            type Exports = $crate::__private::Exports<Registered>;
            $crate::__private::bindings::connector::export!(
                Exports with_types_in $crate::__private::bindings::connector
            );
            $crate::__private::bindings::$role::export!(
                Exports with_types_in $crate::__private::bindings::$role
            );
        };
    };
}

#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($role:ident, $task:ident, $trait:ident, $plugin:ty) => {
        const _: fn() = || {
            fn is_a<T: $crate::$trait>() {}
            is_a::<$plugin>();
        };
    };
}

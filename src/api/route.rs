//! Method routers that take no handler which does not say who may call it.
//!
//! ```compile_fail
//! use dispatchyard::api::route::get;
//!
//! async fn forgot_to_ask() -> &'static str {
//!     "secrets"
//! }
//!
//! let _ = get(forgot_to_ask);
//! ```
//!
//! ```
//! use dispatchyard::api::{access::Admin, route::get};
//!
//! async fn asks(_: Admin) -> &'static str {
//!     "secrets"
//! }
//!
//! let _ = get(asks);
//! ```

use axum::handler::Handler;
use axum::routing::MethodRouter;

use super::access::Access;
use super::state::AppState;

/// Lists of handler arguments that begin with an [`Access`].
pub trait Guarded {}

macro_rules! guarded {
    ($($argument:ident),*) => {
        impl<M, A: Access, $($argument),*> Guarded for (M, A, $($argument,)*) {}
    };
}

guarded!();
guarded!(T1);
guarded!(T1, T2);
guarded!(T1, T2, T3);
guarded!(T1, T2, T3, T4);

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(
            $(#[$doc])*
            pub fn $name<H, T>(handler: H) -> MethodRouter<AppState>
            where
                H: Handler<T, AppState>,
                T: Guarded + 'static,
            {
                axum::routing::$name(handler)
            }
        )*
    };
}

methods! {
    /// A guarded `GET`.
    get
    /// A guarded `POST`.
    post
    /// A guarded `PATCH`.
    patch
    /// A guarded `DELETE`.
    delete
}

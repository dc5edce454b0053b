//! Routes that take no handler which does not say who may call it, and that know themselves: the
//! list of all of them is what the router was made of.
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
//! use dispatchyard::api::{access::{May, Read}, route::get};
//!
//! async fn asks(_: May<Read>) -> &'static str {
//!     "secrets"
//! }
//!
//! let _ = get(asks);
//! ```

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::MethodRouter;

use super::access::{Access, Who};
use super::state::AppState;

/// Lists of handler arguments that begin with an [`Access`].
pub trait Guarded {
    /// Who may call the handler.
    const WHO: Who;
}

macro_rules! guarded {
    ($($argument:ident),*) => {
        impl<M, A: Access, $($argument),*> Guarded for (M, A, $($argument,)*) {
            const WHO: Who = A::WHO;
        }
    };
}

guarded!();
guarded!(T1);
guarded!(T1, T2);
guarded!(T1, T2, T3);
guarded!(T1, T2, T3, T4);

/// The handlers of one path.
pub struct Methods {
    router: MethodRouter<AppState>,
    listed: Vec<(Method, Who)>,
}

impl Methods {
    /// These and those.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.listed.extend(other.listed);
        Self { router: self.router.merge(other.router), listed: self.listed }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name<H, T>(handler: H) -> Methods
            where
                H: Handler<T, AppState>,
                T: Guarded + 'static,
            {
                let listed = vec![(Method::$method, T::WHO)];
                Methods { router: axum::routing::$name(handler), listed }
            }
        )*
    };
}

methods! {
    /// A guarded `GET`.
    get = GET;
    /// A guarded `POST`.
    post = POST;
    /// A guarded `PATCH`.
    patch = PATCH;
    /// A guarded `DELETE`.
    delete = DELETE;
}

/// One route, as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`, with `{names}` of what varies.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
}

/// A router that knows its routes.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<AppState>,
    pub(super) listed: Vec<Listed>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn route(mut self, path: &'static str, methods: Methods) -> Self {
        let listed = methods.listed.into_iter();
        self.listed.extend(listed.map(|(method, who)| Listed { method, path, who }));
        Self { router: self.router.route(path, methods.router), listed: self.listed }
    }
}

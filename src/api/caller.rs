//! Who calls, whose things that caller sees, and what each role may do.
//!
//! | | read | submit | operate | administer |
//! | --- | --- | --- | --- | --- |
//! | `admin` | yes | yes | yes | yes |
//! | `operator` | yes | yes | yes | |
//! | `submit` | yes | yes | | |
//! | `viewer` | yes | | | |
//!
//! - read: every `GET`, but for what belongs to a lease, and `POST /match`, which only asks;
//! - submit: workloads, what joins them, and their closing; sessions of agents, and what is said in them; events, workflows by hand. Priority `critical` is a right of its own, which
//!   admins and operators have;
//! - operate: cancel, retry, requeue, replay; approve and deny held deliveries; end sessions, and answer what their
//!   agents ask; give jobs another place in the queue; pause pools,
//!   tenants and triggers; cordon and drain runners and pools;
//! - administer: take runners out of the list. Without a tenant also: pause everything, and see,
//!   train and reset what was learned of run times, because that is of all tenants.
//!
//! A caller with a tenant sees and touches that tenant's things only. What is another's is
//! answered as what is not there: 404. Runners of a pool that all tenants share are seen by all of
//! them and touched by none (403), because that would be felt by the others. A caller without a
//! tenant sees everything, and what it starts is the default tenant's.

use std::sync::Arc;

use super::error::ApiError;
use crate::config::{ADMIN_NAME, Role};
use crate::model::{JobPriority, TenantId};

/// A kind of thing to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Right {
    /// Look.
    Read,
    /// Start work.
    Submit,
    /// Change what there is.
    Operate,
    /// Change who takes part.
    Administer,
}

impl Right {
    /// Whether a role has it: the table above.
    pub fn is_of(self, role: Role) -> bool {
        match role {
            Role::Admin => true,
            Role::Operator => self != Self::Administer,
            Role::Submit => matches!(self, Self::Read | Self::Submit),
            Role::Viewer => self == Self::Read,
            Role::Runner => false,
        }
    }

    /// What it is, as in "this token is not for ...".
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Read => "reading",
            Self::Submit => "starting work",
            Self::Operate => "operators",
            Self::Administer => "admins",
        }
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    name: Arc<str>,
    role: Role,
    tenant: Option<TenantId>,
    critical: bool,
}

impl Caller {
    /// A caller with this name and role; `critical` adds the right to that priority. Who only
    /// submits is always somebody's: the default tenant's where none is given.
    pub fn new(name: &str, role: Role, tenant: Option<TenantId>, critical: bool) -> Self {
        let critical = critical || matches!(role, Role::Admin | Role::Operator);
        let tenant = tenant.or((role == Role::Submit).then_some(TenantId::DEFAULT));
        Self { name: name.into(), role, tenant, critical }
    }

    /// Anybody, on a server that asks nobody for a token.
    pub(super) fn anybody() -> Self {
        Self::new(ADMIN_NAME, Role::Admin, None, true)
    }

    /// What history calls the caller.
    pub fn author(&self) -> Box<str> {
        (*self.name).into()
    }

    /// What it may do.
    pub fn may(&self, right: Right) -> bool {
        right.is_of(self.role)
    }

    /// The only tenant whose things it sees; `None` for all.
    pub fn limited_to(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Whose is what it starts.
    pub fn starts_for(&self) -> TenantId {
        self.tenant.unwrap_or(TenantId::DEFAULT)
    }

    /// Whether it sees a tenant's things.
    pub fn sees(&self, tenant: TenantId) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }

    /// Refuses what it may not see, as if it were not there.
    ///
    /// # Errors
    ///
    /// [`ApiError::NotFound`].
    pub fn must_see(
        &self,
        tenant: TenantId,
        what: &'static str,
        id: impl std::fmt::Display,
    ) -> Result<(), ApiError> {
        if self.sees(tenant) { Ok(()) } else { Err(ApiError::not_found(what, id)) }
    }

    /// Refuses whoever is no admin of all tenants.
    ///
    /// # Errors
    ///
    /// [`ApiError::Forbidden`].
    pub fn must_administer_all(&self, what: &'static str) -> Result<(), ApiError> {
        let may = self.may(Right::Administer) && self.tenant.is_none();
        if may { Ok(()) } else { Err(ApiError::Forbidden(what)) }
    }

    /// Refuses a priority that it may not give.
    ///
    /// # Errors
    ///
    /// [`ApiError::Forbidden`].
    pub fn must_be_allowed(&self, priority: JobPriority) -> Result<(), ApiError> {
        if priority == JobPriority::Critical && !self.critical {
            return Err(ApiError::Forbidden(
                "the priority `critical`: set `critical = true` on it",
            ));
        }
        Ok(())
    }

    /// An `Idempotency-Key`, so that one tenant's never meets another's.
    pub(super) fn own_key(&self, key: Box<str>) -> Box<str> {
        match self.starts_for() {
            TenantId::DEFAULT => key,
            // No header can hold this character, so no key of the default tenant looks like it.
            tenant => format!("{tenant}\u{1f}{key}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_submits_is_always_somebodys() {
        let submit = Caller::new("ci", Role::Submit, None, false);
        assert_eq!(submit.limited_to(), Some(TenantId::DEFAULT));
        assert!(!submit.sees(TenantId(2)));
        assert!(Caller::new("v", Role::Viewer, None, false).sees(TenantId(2)));
    }

    #[test]
    fn the_highest_priority_is_a_right_of_its_own() {
        let allowed = |role, critical| {
            let caller = Caller::new("x", role, None, critical);
            caller.must_be_allowed(JobPriority::Critical).is_ok()
        };
        assert!(allowed(Role::Admin, false) && allowed(Role::Operator, false));
        assert!(allowed(Role::Submit, true) && !allowed(Role::Submit, false));
        let submit = Caller::new("x", Role::Submit, None, false);
        assert!(submit.must_be_allowed(JobPriority::High).is_ok());
    }

    #[test]
    fn the_same_key_of_two_tenants_is_two_keys() {
        let of = |tenant| Caller::new("x", Role::Submit, Some(TenantId(tenant)), false);
        let keys = [1, 2, 21].map(|tenant| of(tenant).own_key("1k".into()));
        assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
        assert_eq!(&*keys[0], "1k");
    }
}

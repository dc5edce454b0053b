//! The names that a configuration gives to numbers: what people write, and what rows hold.

use std::collections::BTreeMap;

use super::{Member, PoolId, TenantId};

/// Tenants, pools, skills, resources and routes by name, fixed when the server starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalogue {
    /// Tenants; `default` always.
    pub tenants: BTreeMap<Box<str>, TenantId>,
    /// Pools; `default` always.
    pub pools: BTreeMap<Box<str>, PoolId>,
    /// Of each skill the pools whose runners have it, in order of preference.
    pub skills: BTreeMap<Box<str>, Vec<PoolId>>,
    /// Units of each resource; a name that ends in `*` stands for all that begin so.
    pub resources: BTreeMap<Box<str>, u32>,
    /// Routes, in the order in which they are asked.
    pub routes: Vec<Box<str>>,
    /// What expressions of workflow files read as `vars.NAME`.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// Lists of accounts that conditions of triggers name.
    pub teams: BTreeMap<Box<str>, Vec<Member>>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            tenants: [("default".into(), TenantId::DEFAULT)].into(),
            pools: [("default".into(), PoolId::DEFAULT)].into(),
            skills: BTreeMap::new(),
            resources: BTreeMap::new(),
            routes: Vec::new(),
            vars: serde_json::Map::new(),
            teams: BTreeMap::new(),
        }
    }
}

impl Catalogue {
    /// What the resource of a route's bound begins with.
    pub const OF_ROUTE: &str = "route:";

    /// How many units there are of a resource; `None` when there is no such resource. The longest
    /// pattern that fits decides. A route that is bounded no longer, or is gone, has as many as its jobs
    /// want: they were queued while it was there, and must not wait for it for ever.
    pub fn resource_units(&self, name: &str) -> Option<u32> {
        let unbounded = || name.starts_with(Self::OF_ROUTE).then_some(u32::MAX);
        self.resources.get(name).copied().or_else(unbounded).or_else(|| {
            let patterns = self.resources.iter().filter_map(|(pattern, units)| {
                let prefix = pattern.strip_suffix('*')?;
                name.starts_with(prefix).then_some((prefix.len(), *units))
            });
            patterns.max().map(|(_, units)| units)
        })
    }

    /// What people call a tenant.
    pub fn tenant_name(&self, id: TenantId) -> &str {
        let found = self.tenants.iter().find(|(_, known)| **known == id);
        found.map_or("unknown", |(name, _)| name)
    }

    /// What people call a pool.
    pub fn pool_name(&self, id: PoolId) -> &str {
        let found = self.pools.iter().find(|(_, known)| **known == id);
        found.map_or("unknown", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_says_how_many_units_there_are() {
        let resources = [("licence", 3), ("repo:*", 1), ("repo:acme/*", 2)];
        let resources = resources.map(|(name, units)| (name.into(), units)).into();
        let catalogue = Catalogue { resources, ..Catalogue::default() };
        assert_eq!(catalogue.resource_units("licence"), Some(3));
        assert_eq!(catalogue.resource_units("repo:acme/app"), Some(2));
        assert_eq!(catalogue.resource_units("repo:other/app"), Some(1));
        assert_eq!(catalogue.resource_units("gpu"), None);
        assert_eq!(catalogue.resource_units("route:gone"), Some(u32::MAX));
    }
}

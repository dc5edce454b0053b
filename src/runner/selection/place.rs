//! Where runners stand, and how far that is from where a job had better run.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::model::RunnerCapabilities;

/// How far places are from each other, in both directions.
///
/// A place is a region, `eu-west`, or a zone in one, `eu-west/b`. Zones of one region are no
/// distance from each other unless the table says so; what the table does not know is
/// [`Distances::FAR`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Distances {
    from: FxHashMap<Box<str>, FxHashMap<Box<str>, u32>>,
}

impl Distances {
    /// Farther than anything in a table.
    pub(super) const FAR: u32 = u32::MAX;

    /// The table of a pool's settings; where it has both directions, each has its own distance.
    pub(super) fn new(table: &BTreeMap<(Box<str>, Box<str>), u32>) -> Self {
        let name = |place: &str| Box::<str>::from(place.trim().to_lowercase());
        let mut distances = Self::default();
        // The way back first, so that an entry of its own replaces it.
        for ((a, b), distance) in table {
            distances.from.entry(name(b)).or_default().insert(name(a), *distance);
        }
        for ((a, b), distance) in table {
            distances.from.entry(name(a)).or_default().insert(name(b), *distance);
        }
        distances
    }

    fn listed(&self, from: &str, to: &str) -> Option<u32> {
        self.from.get(from)?.get(to).copied()
    }

    /// From a place that a job prefers to the place of a runner. The most exact entry counts.
    fn between(&self, wanted: &str, place: &Place<'_>) -> u32 {
        let wanted_region = wanted.split_once('/').map_or(wanted, |(region, _)| region);
        let exact = place.zone.map(|zone| format!("{}/{zone}", place.region));
        let listed = [wanted, wanted_region].into_iter().find_map(|from| {
            let to_zone = exact.as_deref().and_then(|zone| self.listed(from, zone));
            to_zone.or_else(|| self.listed(from, place.region))
        });
        let same = wanted_region == place.region;
        listed.unwrap_or(if same { 0 } else { Self::FAR })
    }

    /// How good a runner's place is for a job that prefers these places, in order: smaller is
    /// better. First the preferred ones as they are ordered, then all others by their distance
    /// from the nearest preferred one. Without preferences every place is 0.
    pub(super) fn rank(&self, preferred: &[Box<str>], runner: &RunnerCapabilities) -> u64 {
        let after_all = preferred.len() as u64;
        let Some(place) = Place::of(runner) else {
            return if preferred.is_empty() { 0 } else { after_all + u64::from(Self::FAR) };
        };
        if let Some(at) = preferred.iter().position(|wanted| place.is(wanted)) {
            return at as u64;
        }
        let nearest = preferred.iter().map(|wanted| self.between(wanted, &place)).min();
        nearest.map_or(0, |distance| after_all + u64::from(distance))
    }
}

/// Where a runner stands.
struct Place<'a> {
    region: &'a str,
    zone: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(runner: &'a RunnerCapabilities) -> Option<Self> {
        Some(Self { region: runner.region.as_deref()?, zone: runner.zone.as_deref() })
    }

    fn is(&self, wanted: &str) -> bool {
        match wanted.split_once('/') {
            Some((region, zone)) => region == self.region && Some(zone) == self.zone,
            None => wanted == self.region,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(preferred: &[&str], region: Option<&str>, zone: Option<&str>) -> u64 {
        let table =
            [(("eu", "us"), 9), (("eu", "uk"), 2), (("Us", "eu"), 7), (("eu/a", "eu/c"), 4)];
        let table = table.map(|((a, b), distance)| ((a.into(), b.into()), distance));
        let runner = RunnerCapabilities {
            region: region.map(Into::into),
            zone: zone.map(Into::into),
            ..RunnerCapabilities::default()
        };
        let preferred: Vec<Box<str>> = preferred.iter().map(|&place| place.into()).collect();
        Distances::new(&table.into()).rank(&preferred, &runner)
    }

    #[test]
    fn preferred_places_come_in_their_order_then_the_nearest() {
        let preferred = ["eu/b", "eu", "mars"];
        let places = [
            (Some("eu"), Some("b")),
            (Some("eu"), Some("a")),
            (Some("mars"), None),
            (Some("uk"), Some("x")),
            (Some("us"), None),
            (Some("asia"), None),
        ];
        let ranks = places.map(|(region, zone)| rank(&preferred, region, zone));
        assert_eq!(&ranks[..5], [0, 1, 2, 3 + 2, 3 + 9]);
        assert_eq!(ranks[5], 3 + u64::from(Distances::FAR));
        assert_eq!(rank(&preferred, None, None), ranks[5], "a runner that does not say where");
    }

    #[test]
    fn each_direction_may_have_its_own_distance() {
        assert_eq!(rank(&["us"], Some("eu"), None), 1 + 7);
        assert_eq!(rank(&["eu"], Some("us"), None), 1 + 9);
        assert_eq!(rank(&["uk"], Some("eu"), None), 1 + 2, "or the same");
    }

    #[test]
    fn other_zones_of_the_region_are_near_unless_the_table_says_otherwise() {
        assert_eq!(rank(&["eu/a"], Some("eu"), Some("b")), 1);
        assert_eq!(rank(&["eu/a"], Some("eu"), Some("c")), 1 + 4);
    }

    #[test]
    fn without_preferences_all_places_are_equal() {
        assert_eq!(rank(&[], Some("eu"), None), 0);
        assert_eq!(rank(&[], None, None), 0);
    }
}

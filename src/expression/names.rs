//! The names that the language has: contexts and functions.

/// The contexts:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#available-contexts>.
pub const CONTEXTS: &[&str] = &[
    "github", "env", "vars", "secrets", "needs", "matrix", "strategy", "job", "jobs", "steps",
    "runner", "inputs",
];

/// The functions:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions>.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Contains,
    StartsWith,
    EndsWith,
    Format,
    Join,
    ToJson,
    FromJson,
    HashFiles,
    Case,
    Success,
    Failure,
    Always,
    Cancelled,
}

/// The most arguments of a function that takes any number.
const ARGUMENTS_MAX: usize = 255;

impl Function {
    pub(super) const ALL: &[Self] = &[
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Format,
        Self::Join,
        Self::ToJson,
        Self::FromJson,
        Self::HashFiles,
        Self::Case,
        Self::Success,
        Self::Failure,
        Self::Always,
        Self::Cancelled,
    ];

    /// Its name, as the documentation writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Format => "format",
            Self::Join => "join",
            Self::ToJson => "toJSON",
            Self::FromJson => "fromJSON",
            Self::HashFiles => "hashFiles",
            Self::Case => "case",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Always => "always",
            Self::Cancelled => "cancelled",
        }
    }

    /// The fewest and the most arguments.
    const fn arguments(self) -> (usize, usize) {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => (2, 2),
            Self::Format | Self::HashFiles => (1, ARGUMENTS_MAX),
            Self::Join => (1, 2),
            Self::ToJson | Self::FromJson => (1, 1),
            Self::Case => (3, ARGUMENTS_MAX),
            Self::Success | Self::Failure | Self::Always | Self::Cancelled => (0, 0),
        }
    }

    /// What is wrong with this number of arguments.
    pub(super) fn fault(self, many: usize) -> Option<String> {
        let (min, max) = self.arguments();
        let name = self.name();
        let plural = |many| if many == 1 { "" } else { "s" };
        if self == Self::Case && many.is_multiple_of(2) && (min..=max).contains(&many) {
            return Some(format!(
                "`case` has {many} arguments; it takes pairs of a condition and a value, and a \
                 last value for when none holds"
            ));
        }
        match () {
            () if (min..=max).contains(&many) => None,
            () if min == max => {
                Some(format!("`{name}` takes {min} argument{}, not {many}", plural(min)))
            }
            () if many < min => {
                Some(format!("`{name}` takes at least {min} argument{}, not {many}", plural(min)))
            }
            () => Some(format!("`{name}` takes at most {max} arguments, not {many}")),
        }
    }

    /// Whether it is about what was before.
    pub(super) const fn is_status(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Always | Self::Cancelled)
    }

    /// The function of a name, whatever its case.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.name().eq_ignore_ascii_case(name))
    }
}

/// The context of a name, whatever its case.
pub(super) fn context(name: &str) -> Option<&'static str> {
    CONTEXTS.iter().copied().find(|it| it.eq_ignore_ascii_case(name))
}

/// The known name that is nearest to one that is not, if it is near enough to be a slip.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// Longer ones are no slips.
    const CHARS_MAX: usize = 32;
    if name.len() > CHARS_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    known
        .map(|it| (distance(&name, &it.to_ascii_lowercase()), it))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, it)| *distance <= 1 + it.len() / 4)
        .map(|(_, it)| it)
}

/// How many letters must be put in, taken out or changed.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (column, other) in right.bytes().enumerate() {
            let changed = corner + usize::from(letter != other);
            corner = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(corner + 1);
        }
    }
    row[right.len()]
}

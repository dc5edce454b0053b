//! Fields that few rows have set: kept behind a pointer, or not at all.

use std::ops::Deref;

/// What is there when nothing is set.
pub trait Blank: Default + PartialEq + 'static {
    /// The default, for those who read.
    const BLANK: &'static Self;
}

/// Fields of a row, most often all blank: then a pointer that is none is all that they take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Blank> Rare<T> {
    /// Changes the fields.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        if let Some(fields) = &mut self.0 {
            let result = change(fields);
            if **fields == *T::BLANK {
                self.0 = None;
            }
            return result;
        }
        let mut fields = T::default();
        let result = change(&mut fields);
        *self = fields.into();
        result
    }
}

impl<T: Blank> From<T> for Rare<T> {
    fn from(fields: T) -> Self {
        Self((fields != *T::BLANK).then(|| Box::new(fields)))
    }
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::BLANK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Eq, Debug, Default)]
    struct Fields(u8);

    impl Blank for Fields {
        const BLANK: &'static Self = &Self(0);
    }

    #[test]
    fn blank_fields_take_nothing_however_they_became_blank() {
        let mut fields = Rare::<Fields>::default();
        assert_eq!(fields.0, None);
        fields.edit(|it| it.0 = 7);
        assert_eq!((fields.0.is_some(), *fields == Fields(7)), (true, true));
        assert_eq!(fields, Fields(7).into());
        fields.edit(|it| it.0 = 0);
        assert_eq!((fields.0.as_ref(), fields == Fields(0).into()), (None, true));
        assert_eq!(fields.0, None);
    }
}

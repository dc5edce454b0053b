//! `class`.

use crate::model::{Class, ClassId};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `class_insert`.
pub(in crate::store) fn bind(class: &Class, to: &mut Bind) {
    to.int(class.id.0).json(&class.requirements);
}

/// A row of `class`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Class, StoreError> {
    let mut columns = Columns::new("class", row);
    Ok(Class { id: ClassId(columns.int("id")?), requirements: columns.json("requirements")? })
}

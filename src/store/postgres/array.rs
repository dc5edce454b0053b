//! Many rows as a few values: an array for each column, in PostgreSQL's binary form.
//!
//! `UNNEST` makes rows of them again. They are encoded as they come, without a vector of values
//! between.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, Postgres};
use sqlx::{Arguments as _, Type};

use crate::store::bind::Value;

/// Number of dimensions, whether there are NULLs, type of the elements, length, first index.
const HEADER_BYTES: usize = 20;

/// Collects rows, value by value.
pub(in crate::store) struct Arrays {
    columns: Vec<Array>,
    /// How many values there are so far.
    len: usize,
}

/// One column.
struct Array {
    column: Column,
    /// Room for the header, then the elements, each after its length.
    bytes: Vec<u8>,
    elements: i32,
}

/// What a column holds; `i`, `t` and `b` in the list of statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) enum Column {
    Int,
    Text,
    Bytes,
}

impl Column {
    /// From the letter in the list of statements.
    pub(in crate::store) fn from_letter(letter: u8) -> Self {
        match letter {
            b'i' => Self::Int,
            b't' => Self::Text,
            _ => Self::Bytes,
        }
    }

    /// Its letter in the list of statements.
    pub(in crate::store) fn letter(self) -> char {
        match self {
            Self::Int => 'i',
            Self::Text => 't',
            Self::Bytes => 'b',
        }
    }

    /// The name of its array's type.
    pub(in crate::store) fn array_type(self) -> &'static str {
        match self {
            Self::Int => "int8[]",
            Self::Text => "text[]",
            Self::Bytes => "bytea[]",
        }
    }

    /// The number of its element's type, the same in every database.
    fn oid(self) -> u32 {
        match self {
            Self::Int => 20,
            Self::Text => 25,
            Self::Bytes => 17,
        }
    }

    fn type_info(self) -> PgTypeInfo {
        match self {
            Self::Int => <Vec<i64> as Type<Postgres>>::type_info(),
            Self::Text => <Vec<String> as Type<Postgres>>::type_info(),
            Self::Bytes => <Vec<Vec<u8>> as Type<Postgres>>::type_info(),
        }
    }
}

impl Arrays {
    /// Columns of these types, with room for rows of numbers.
    pub(in crate::store) fn new(types: &str, rows: usize) -> Self {
        let array = |letter| {
            let mut bytes = Vec::with_capacity(HEADER_BYTES + rows * 12);
            bytes.resize(HEADER_BYTES, 0);
            Array { column: Column::from_letter(letter), bytes, elements: 0 }
        };
        Self { columns: types.bytes().map(array).collect(), len: 0 }
    }

    /// How many values there are so far.
    pub(in crate::store) fn len(&self) -> usize {
        self.len
    }

    /// The next value: column by column, row by row.
    ///
    /// # Errors
    /// When it has another type than its column, or is too long.
    pub(in crate::store) fn add(&mut self, value: Value<'_>) -> Result<(), BoxDynError> {
        let at = self.len % self.columns.len();
        self.len += 1;
        let array = &mut self.columns[at];
        array.elements += 1;
        match (value, array.column) {
            (Value::Int(None), Column::Int)
            | (Value::Text(None), Column::Text)
            | (Value::Bytes(None), Column::Bytes) => {
                array.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
                Ok(())
            }
            (Value::Int(Some(value)), Column::Int) => array.element(&value.to_be_bytes()),
            (Value::Text(Some(value)), Column::Text) => array.element(value.as_bytes()),
            (Value::Bytes(Some(value)), Column::Bytes) => array.element(value),
            (_, column) => Err(format!("value {at} of a row is not {column:?}").into()),
        }
    }

    /// The arrays as the values of a statement.
    ///
    /// # Errors
    /// When one of them is too long.
    pub(in crate::store) fn finish(self) -> Result<PgArguments, BoxDynError> {
        let mut arguments = PgArguments::default();
        let bytes = self.columns.iter().map(|array| array.bytes.len() + 4).sum();
        arguments.reserve(self.columns.len(), bytes);
        for array in self.columns {
            arguments.add(array.finished())?;
        }
        Ok(arguments)
    }
}

impl Array {
    fn element(&mut self, bytes: &[u8]) -> Result<(), BoxDynError> {
        self.bytes.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finished(mut self) -> Self {
        let (one, any_nulls) = (1_i32.to_be_bytes(), 1_i32.to_be_bytes());
        let header =
            [one, any_nulls, self.column.oid().to_be_bytes(), self.elements.to_be_bytes(), one];
        self.bytes[..HEADER_BYTES].copy_from_slice(header.as_flattened());
        self
    }
}

impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        // Never asked: each value says what it is.
        Column::Int.type_info()
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, to: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        to.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.column.type_info())
    }

    fn size_hint(&self) -> usize {
        self.bytes.len()
    }
}

//! What a Parquet file says of itself, in Thrift's compact protocol. A field has a number and a
//! type. The reader goes by the number alone, and takes what is there for the type that the format
//! gives the field; so a description in which another type is written is refused, as the two would
//! read other fields in what follows.

use std::io::{self, Read};

/// The type of a field.
pub(super) enum Shape {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    Bytes,
    List(&'static Self),
    Struct(&'static Structure),
}

/// A structure: its fields with their numbers.
pub(super) struct Structure {
    name: Name,
    fields: &'static [(i64, Shape)],
}

/// The structures of which something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    SchemaElement,
    PageHeader,
    DataPageHeader,
    DictionaryPageHeader,
    DataPageHeaderV2,
    Other,
}

/// A number or truth value of a structure, or [`END`].
pub(super) struct Field {
    pub(super) of: Name,
    pub(super) number: i64,
    pub(super) value: i64,
}

/// The number under which the end of a structure is told.
pub(super) const END: i64 = 0;

/// Structures within structures of a field that the format does not have.
const MAX_DEPTH: u32 = 8;

/// Types as they are written.
const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

impl Shape {
    const fn written(&self) -> u8 {
        match self {
            Self::Bool => TRUE,
            Self::I8 => BYTE,
            Self::I16 => I16,
            Self::I32 => I32,
            Self::I64 => I64,
            Self::Double => DOUBLE,
            Self::Bytes => BINARY,
            Self::List(_) => LIST,
            Self::Struct(_) => STRUCT,
        }
    }
}

const fn structure(fields: &'static [(i64, Shape)]) -> Structure {
    Structure { name: Name::Other, fields }
}

// As in parquet.thrift of the format (https://github.com/apache/parquet-format). What is encrypted
// is not read.

pub(super) static FILE: Structure = structure(&[
    (1, Shape::I32),
    (2, Shape::List(&Shape::Struct(&SCHEMA_ELEMENT))),
    (3, Shape::I64),
    (4, Shape::List(&Shape::Struct(&ROW_GROUP))),
    (5, Shape::List(&Shape::Struct(&KEY_VALUE))),
    (6, Shape::Bytes),
    (7, Shape::List(&Shape::Struct(&COLUMN_ORDER))),
]);

static SCHEMA_ELEMENT: Structure = Structure {
    name: Name::SchemaElement,
    fields: &[
        (1, Shape::I32),
        (2, Shape::I32),
        (3, Shape::I32),
        (4, Shape::Bytes),
        (5, Shape::I32),
        (6, Shape::I32),
        (7, Shape::I32),
        (8, Shape::I32),
        (9, Shape::I32),
        (10, Shape::Struct(&LOGICAL_TYPE)),
    ],
};

static EMPTY: Structure = structure(&[]);

static LOGICAL_TYPE: Structure = structure(&[
    (1, Shape::Struct(&EMPTY)),
    (2, Shape::Struct(&EMPTY)),
    (3, Shape::Struct(&EMPTY)),
    (4, Shape::Struct(&EMPTY)),
    (5, Shape::Struct(&DECIMAL)),
    (6, Shape::Struct(&EMPTY)),
    (7, Shape::Struct(&TIME)),
    (8, Shape::Struct(&TIME)),
    (10, Shape::Struct(&INTEGER)),
    (11, Shape::Struct(&EMPTY)),
    (12, Shape::Struct(&EMPTY)),
    (13, Shape::Struct(&EMPTY)),
    (14, Shape::Struct(&EMPTY)),
    (15, Shape::Struct(&EMPTY)),
    (16, Shape::Struct(&VARIANT)),
    (17, Shape::Struct(&GEOGRAPHY)),
    (18, Shape::Struct(&GEOGRAPHY)),
    (19, Shape::Struct(&EMPTY)),
]);
static DECIMAL: Structure = structure(&[(1, Shape::I32), (2, Shape::I32)]);
static TIME: Structure = structure(&[(1, Shape::Bool), (2, Shape::Struct(&TIME_UNIT))]);
static TIME_UNIT: Structure = structure(&[
    (1, Shape::Struct(&EMPTY)),
    (2, Shape::Struct(&EMPTY)),
    (3, Shape::Struct(&EMPTY)),
]);
static INTEGER: Structure = structure(&[(1, Shape::I8), (2, Shape::Bool)]);
static VARIANT: Structure = structure(&[(1, Shape::I8)]);
/// And geometry, which has the first field only.
static GEOGRAPHY: Structure = structure(&[(1, Shape::Bytes), (2, Shape::I32)]);

static COLUMN_ORDER: Structure = structure(&[
    (1, Shape::Struct(&EMPTY)),
    (2, Shape::Struct(&EMPTY)),
    (3, Shape::Struct(&EMPTY)),
]);

static KEY_VALUE: Structure = structure(&[(1, Shape::Bytes), (2, Shape::Bytes)]);

static ROW_GROUP: Structure = structure(&[
    (1, Shape::List(&Shape::Struct(&COLUMN_CHUNK))),
    (2, Shape::I64),
    (3, Shape::I64),
    (4, Shape::List(&Shape::Struct(&SORTING_COLUMN))),
    (5, Shape::I64),
    (6, Shape::I64),
    (7, Shape::I16),
]);

static SORTING_COLUMN: Structure =
    structure(&[(1, Shape::I32), (2, Shape::Bool), (3, Shape::Bool)]);

static COLUMN_CHUNK: Structure = structure(&[
    (1, Shape::Bytes),
    (2, Shape::I64),
    (3, Shape::Struct(&COLUMN_METADATA)),
    (4, Shape::I64),
    (5, Shape::I32),
    (6, Shape::I64),
    (7, Shape::I32),
]);

static COLUMN_METADATA: Structure = structure(&[
    (1, Shape::I32),
    (2, Shape::List(&Shape::I32)),
    (3, Shape::List(&Shape::Bytes)),
    (4, Shape::I32),
    (5, Shape::I64),
    (6, Shape::I64),
    (7, Shape::I64),
    (8, Shape::List(&Shape::Struct(&KEY_VALUE))),
    (9, Shape::I64),
    (10, Shape::I64),
    (11, Shape::I64),
    (12, Shape::Struct(&STATISTICS)),
    (13, Shape::List(&Shape::Struct(&ENCODING_STATISTICS))),
    (14, Shape::I64),
    (15, Shape::I32),
    (16, Shape::Struct(&SIZE_STATISTICS)),
    (17, Shape::Struct(&GEOSPATIAL_STATISTICS)),
]);

static STATISTICS: Structure = structure(&[
    (1, Shape::Bytes),
    (2, Shape::Bytes),
    (3, Shape::I64),
    (4, Shape::I64),
    (5, Shape::Bytes),
    (6, Shape::Bytes),
    (7, Shape::Bool),
    (8, Shape::Bool),
    (9, Shape::I64),
]);

static ENCODING_STATISTICS: Structure =
    structure(&[(1, Shape::I32), (2, Shape::I32), (3, Shape::I32)]);

static SIZE_STATISTICS: Structure =
    structure(&[(1, Shape::I64), (2, Shape::List(&Shape::I64)), (3, Shape::List(&Shape::I64))]);

static GEOSPATIAL_STATISTICS: Structure =
    structure(&[(1, Shape::Struct(&BOUNDING_BOX)), (2, Shape::List(&Shape::I32))]);

static BOUNDING_BOX: Structure = structure(&[
    (1, Shape::Double),
    (2, Shape::Double),
    (3, Shape::Double),
    (4, Shape::Double),
    (5, Shape::Double),
    (6, Shape::Double),
    (7, Shape::Double),
    (8, Shape::Double),
]);

pub(super) static PAGE_HEADER: Structure = Structure {
    name: Name::PageHeader,
    fields: &[
        (1, Shape::I32),
        (2, Shape::I32),
        (3, Shape::I32),
        (4, Shape::I32),
        (5, Shape::Struct(&DATA_PAGE_HEADER)),
        (6, Shape::Struct(&EMPTY)),
        (7, Shape::Struct(&DICTIONARY_PAGE_HEADER)),
        (8, Shape::Struct(&DATA_PAGE_HEADER_V2)),
    ],
};

static DATA_PAGE_HEADER: Structure = Structure {
    name: Name::DataPageHeader,
    fields: &[
        (1, Shape::I32),
        (2, Shape::I32),
        (3, Shape::I32),
        (4, Shape::I32),
        (5, Shape::Struct(&STATISTICS)),
    ],
};

static DICTIONARY_PAGE_HEADER: Structure = Structure {
    name: Name::DictionaryPageHeader,
    fields: &[(1, Shape::I32), (2, Shape::I32), (3, Shape::Bool)],
};

static DATA_PAGE_HEADER_V2: Structure = Structure {
    name: Name::DataPageHeaderV2,
    fields: &[
        (1, Shape::I32),
        (2, Shape::I32),
        (3, Shape::I32),
        (4, Shape::I32),
        (5, Shape::I32),
        (6, Shape::I32),
        (7, Shape::Bool),
        (8, Shape::Struct(&STATISTICS)),
    ],
};

/// Reads a whole structure, with all that is in it, and tells its numbers and truth values. Returns
/// how many bytes it has. It takes no more steps than that.
pub(super) fn walk(
    read: impl Read,
    structure: &Structure,
    see: impl FnMut(Field) -> io::Result<()>,
) -> io::Result<u64> {
    let mut walk = Walk { read, used: 0, see };
    walk.structure(structure)?;
    Ok(walk.used)
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn other_type() -> io::Error {
    invalid("a field of a type that it cannot have")
}

struct Walk<R, F> {
    read: R,
    used: u64,
    see: F,
}

impl<R: Read, F: FnMut(Field) -> io::Result<()>> Walk<R, F> {
    fn structure(&mut self, structure: &Structure) -> io::Result<()> {
        let of = structure.name;
        let mut last = 0;
        loop {
            let (number, kind) = self.field(&mut last)?;
            if kind == STOP {
                return (self.see)(Field { of, number: END, value: 0 });
            }
            let known = structure.fields.iter().find(|(known, _)| *known == number);
            match (known, kind) {
                (None, _) => self.skip(kind, 0)?,
                (Some((_, Shape::Bool)), TRUE | FALSE) => {
                    (self.see)(Field { of, number, value: i64::from(kind == TRUE) })?;
                }
                (Some((_, shape)), _) if shape.written() == kind => {
                    if let Some(value) = self.value(shape)? {
                        (self.see)(Field { of, number, value })?;
                    }
                }
                (Some(_), _) => return Err(other_type()),
            }
        }
    }

    /// A value of this type, if it is a number.
    fn value(&mut self, shape: &Shape) -> io::Result<Option<i64>> {
        Ok(match shape {
            // The reader keeps as many bits as the type has.
            Shape::I16 => Some(i16::try_from(self.signed()?).map_err(|_| other_type())?.into()),
            Shape::I32 => Some(i32::try_from(self.signed()?).map_err(|_| other_type())?.into()),
            Shape::I64 => Some(self.signed()?),
            Shape::List(of) => {
                let (length, kind) = self.list()?;
                if length > 0 && kind != of.written() {
                    return Err(other_type());
                }
                for _ in 0..length {
                    self.value(of)?;
                }
                None
            }
            Shape::Struct(structure) => {
                self.structure(structure)?;
                None
            }
            Shape::Bool | Shape::I8 | Shape::Double | Shape::Bytes => {
                self.skip(shape.written(), 0)?;
                None
            }
        })
    }

    /// A value of which nothing is needed but its type.
    fn skip(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(invalid("it is too deep"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.unsigned().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | SET => {
                let (length, kind) = self.list()?;
                // The reader counts to their number without reading a byte, and the format has
                // none of them here.
                if matches!(kind, TRUE | FALSE) {
                    return Err(invalid("it has a list of truth values"));
                }
                (0..length).try_for_each(|_| self.skip(kind, depth + 1))
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, STOP) => return Ok(()),
                        (_, kind) => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => Err(other_type()),
        }
    }

    /// The next field: its number and type; the type is [`STOP`] at the end of a structure.
    fn field(&mut self, last: &mut i64) -> io::Result<(i64, u8)> {
        let head = self.byte()?;
        let kind = head & 15;
        if kind != STOP {
            let number = match i64::from(head >> 4) {
                0 => self.signed()?,
                step => *last + step,
            };
            *last = i16::try_from(number)
                .map_err(|_| invalid("a field with a number that none can have"))?
                .into();
        }
        Ok((*last, kind))
    }

    /// Length of a list, and the type of what is in it.
    fn list(&mut self) -> io::Result<(u64, u8)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
        Ok((length, head & 15))
    }

    fn signed(&mut self) -> io::Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(invalid("a number that does not end"))
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.read.read_exact(&mut byte)?;
        self.used += 1;
        Ok(byte[0])
    }

    fn pass(&mut self, length: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.read.by_ref().take(length), &mut io::sink())?;
        self.used += passed;
        if passed == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

//! Reads BSON bytes, element by element.
//!
//! The `bson` crate stops at a key or a text that is not UTF-8. Here every element of a damaged
//! document can still be named and shown.

/// A value of a document. Texts are bytes: stored texts may not be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Raw<'a> {
    Double(f64),
    Text(&'a [u8]),
    Document(&'a [u8]),
    Array(&'a [u8]),
    Binary {
        subtype: u8,
        bytes: &'a [u8],
    },
    Undefined,
    ObjectId([u8; 12]),
    Bool(bool),
    Date(i64),
    Null,
    Regex {
        pattern: &'a [u8],
        options: &'a [u8],
    },
    DbPointer {
        namespace: &'a [u8],
        id: [u8; 12],
    },
    Code(&'a [u8]),
    Symbol(&'a [u8]),
    CodeWithScope {
        code: &'a [u8],
        scope: &'a [u8],
    },
    Int32(i32),
    Timestamp {
        time: u32,
        increment: u32,
    },
    Int64(i64),
    Decimal([u8; 16]),
    MinKey,
    MaxKey,
}

impl Raw<'_> {
    /// The type's name in messages, as MongoDB calls it.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Document(_) => "object",
            Self::Array(_) => "array",
            Self::Binary { .. } => "binData",
            Self::Undefined => "undefined",
            Self::ObjectId(_) => "objectId",
            Self::Bool(_) => "bool",
            Self::Date(_) => "date",
            Self::Null => "null",
            Self::Regex { .. } => "regex",
            Self::DbPointer { .. } => "dbPointer",
            Self::Code(_) => "javascript",
            Self::Symbol(_) => "symbol",
            Self::CodeWithScope { .. } => "javascriptWithScope",
            Self::Int32(_) => "int32",
            Self::Timestamp { .. } => "timestamp",
            Self::Int64(_) => "int64",
            Self::Decimal(_) => "decimal",
            Self::MinKey => "minKey",
            Self::MaxKey => "maxKey",
        }
    }
}

/// The bytes after the last element are not valid BSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The elements of a document or an array. Ends after the first malformed one.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    damaged: bool,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(document: &'a [u8]) -> Self {
        let sound = match document {
            [a, b, c, d, rest @ .., 0] => {
                let length = u32::from_le_bytes([*a, *b, *c, *d]);
                (length as usize == document.len()).then_some(rest)
            }
            _ => None,
        };
        Self {
            rest: sound.unwrap_or_default(),
            damaged: sound.is_none(),
        }
    }

    /// The elements from an offset on, which [`Elements::offset`] returned.
    pub(crate) fn resumed(document: &'a [u8], offset: usize) -> Self {
        let mut elements = Self::new(document);
        let at = offset.min(elements.rest.len());
        elements.rest = elements.rest.get(at..).unwrap_or_default();
        elements
    }

    /// The offset up to which this document was read.
    pub(crate) fn offset(&self, document: &[u8]) -> usize {
        // The length before the elements, and the zero after them.
        document.len().saturating_sub(5 + self.rest.len())
    }

    /// The next element: its key and its unread value.
    pub(crate) fn next_tagged(&mut self) -> Option<Result<(&'a [u8], Tagged<'a>), Malformed>> {
        let damaged = std::mem::take(&mut self.damaged);
        if self.rest.is_empty() && !damaged {
            return None;
        }
        let element = self.element().filter(|_| !damaged);
        if element.is_none() {
            self.rest = &[];
        }
        Some(element.ok_or(Malformed))
    }

    fn element(&mut self) -> Option<(&'a [u8], Tagged<'a>)> {
        let [tag] = self.fixed()?;
        let key = self.c_string()?;
        let before = self.rest;
        self.value(tag)?;
        let bytes = before.get(..before.len() - self.rest.len())?;
        Some((key, Tagged { tag, bytes }))
    }

    #[expect(
        clippy::inline_always,
        reason = "a caller that wants one type needs its code alone"
    )]
    #[inline(always)]
    fn value(&mut self, tag: u8) -> Option<Raw<'a>> {
        Some(match tag {
            0x01 => Raw::Double(f64::from_le_bytes(self.fixed()?)),
            0x02 => Raw::Text(self.string()?),
            0x03 => Raw::Document(self.document()?),
            0x04 => Raw::Array(self.document()?),
            0x05 => self.binary()?,
            0x06 => Raw::Undefined,
            0x07 => Raw::ObjectId(self.fixed()?),
            0x08 => Raw::Bool(match self.fixed()? {
                [0] => false,
                [1] => true,
                _ => return None,
            }),
            0x09 => Raw::Date(i64::from_le_bytes(self.fixed()?)),
            0x0a => Raw::Null,
            0x0b => Raw::Regex {
                pattern: self.c_string()?,
                options: self.c_string()?,
            },
            0x0c => Raw::DbPointer {
                namespace: self.string()?,
                id: self.fixed()?,
            },
            0x0d => Raw::Code(self.string()?),
            0x0e => Raw::Symbol(self.string()?),
            0x0f => self.code_with_scope()?,
            0x10 => Raw::Int32(i32::from_le_bytes(self.fixed()?)),
            0x11 => Raw::Timestamp {
                increment: u32::from_le_bytes(self.fixed()?),
                time: u32::from_le_bytes(self.fixed()?),
            },
            0x12 => Raw::Int64(i64::from_le_bytes(self.fixed()?)),
            0x13 => Raw::Decimal(self.fixed()?),
            0x7f => Raw::MaxKey,
            0xff => Raw::MinKey,
            _ => return None,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(self.fixed()?)).ok()
    }

    fn c_string(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        match self.take(length)? {
            [text @ .., 0] => Some(text),
            _ => None,
        }
    }

    fn document(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(*self.rest.first_chunk()?) as usize;
        match self.take(length)? {
            document @ [_, _, _, _, .., 0] => Some(document),
            _ => None,
        }
    }

    fn binary(&mut self) -> Option<Raw<'a>> {
        let length = self.length()?;
        let [subtype] = self.fixed()?;
        let mut bytes = self.take(length)?;
        if subtype == OLD_BINARY {
            // The deprecated subtype repeats its length inside.
            let (inner, rest) = bytes.split_first_chunk()?;
            if u32::from_le_bytes(*inner) as usize != rest.len() {
                return None;
            }
            bytes = rest;
        }
        Some(Raw::Binary { subtype, bytes })
    }

    fn code_with_scope(&mut self) -> Option<Raw<'a>> {
        let length = self.length()?;
        let mut inner = Elements {
            rest: self.take(length.checked_sub(4)?)?,
            damaged: false,
        };
        let code = inner.string()?;
        let scope = inner.document()?;
        inner
            .rest
            .is_empty()
            .then_some(Raw::CodeWithScope { code, scope })
    }
}

/// An unread value of a document: the byte of its type, and its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagged<'a> {
    pub(crate) tag: u8,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Tagged<'a> {
    /// Whether there is no value: null, or JavaScript's `undefined`, which old drivers stored.
    pub(crate) const fn is_null(self) -> bool {
        matches!(self.tag, 0x06 | 0x0a)
    }

    #[expect(
        clippy::inline_always,
        reason = "a caller that wants one type needs its code alone"
    )]
    #[inline(always)]
    pub(crate) fn read(self) -> Raw<'a> {
        let mut value = Elements {
            rest: self.bytes,
            damaged: false,
        };
        // It was read before, to find its end.
        value.value(self.tag).unwrap_or(Raw::Undefined)
    }
}

/// The values of a document or an array, with their keys, up to the first damage.
pub(crate) fn tagged(document: &[u8]) -> impl Iterator<Item = (&[u8], Tagged<'_>)> {
    let mut elements = Elements::new(document);
    std::iter::from_fn(move || elements.next_tagged()?.ok())
}

/// A document with one element of another document: the first with this key.
pub(crate) fn one_element(document: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut elements = Elements::new(document);
    loop {
        let before = elements.rest;
        let (key, _) = elements.next()?.ok()?;
        if key == wanted {
            let element = before.get(..before.len() - elements.rest.len())?;
            let length = u32::try_from(element.len() + 5).ok()?;
            return Some([&length.to_le_bytes(), element, &[0]].concat());
        }
    }
}

/// The subtype of binary data that repeats its length.
pub(crate) const OLD_BINARY: u8 = 2;

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(&'a [u8], Raw<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.next_tagged()?;
        Some(element.map(|(key, value)| (key, value.read())))
    }
}

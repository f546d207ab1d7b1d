//! How large JSON is in PostgreSQL's form, without making its text.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The size of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// The bytes of its text as `jsonb` prints it.
    pub(super) bytes: usize,
    /// How deep its deepest value is; the value itself is at level one.
    pub(super) levels: usize,
}

/// Measures a value. What is no JSON at all counts as beyond every limit.
pub(super) fn measure(value: &(impl Serialize + ?Sized)) -> Size {
    let mut count = Count(0);
    let mut form = Printed {
        level: 1,
        deepest: 1,
    };
    let done = value.serialize(&mut Serializer::with_formatter(&mut count, &mut form));
    match done {
        Ok(()) => Size {
            bytes: count.0,
            levels: form.deepest,
        },
        Err(_) => Size {
            bytes: usize::MAX,
            levels: usize::MAX,
        },
    }
}

/// Counts the bytes.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The form of `jsonb`: a space after commas and colons, numbers without an exponent.
struct Printed {
    level: usize,
    deepest: usize,
}

impl Printed {
    fn child(&mut self) {
        self.deepest = self.deepest.max(self.level);
    }
}

impl Formatter for &mut Printed {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level += 1;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level -= 1;
        CompactFormatter.end_array(writer)
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.child();
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level += 1;
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level -= 1;
        CompactFormatter.end_object(writer)
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.child();
        writer.write_all(b": ")
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // As the backends write floats: with a fraction, and large ones with all their digits.
        if value == 0.0 {
            writer.write_all(b"0.0")
        } else if value.abs() >= 1e15 {
            write!(writer, "{value:.1}")
        } else if value.fract() == 0.0 {
            write!(writer, "{value}.0")
        } else {
            write!(writer, "{value}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bytes(value: &Value) -> usize {
        measure(value).bytes
    }

    #[test]
    fn sizes_are_those_of_jsonb() {
        // The texts are those that PostgreSQL prints.
        for (value, printed) in [
            (json!({}), "{}"),
            (
                json!({"a": [1, 2.0, -0.5], "b": null}),
                r#"{"a": [1, 2.0, -0.5], "b": null}"#,
            ),
            (
                json!([1e-7, 1e15, -0.0]),
                "[0.0000001, 1000000000000000.0, 0.0]",
            ),
            (
                json!("\u{1}\n\"\\/ä\u{7f}"),
                "\"\\u0001\\n\\\"\\\\/ä\u{7f}\"",
            ),
        ] {
            assert_eq!(bytes(&value), printed.len(), "{printed}");
        }
    }

    #[test]
    fn levels_are_those_of_values() {
        for (value, levels) in [
            (json!(1), 1),
            (json!([]), 1),
            (json!([1]), 2),
            (json!({"a": [[]], "b": 1}), 3),
        ] {
            assert_eq!(measure(&value).levels, levels, "{value}");
        }
    }
}

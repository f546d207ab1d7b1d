//! Reads and writes records, using the lists of their fields.

mod arguments;
mod arrays;
mod reader;
mod statements;
mod sums;
mod values;

pub use arguments::{ArgumentWriter, arguments, integer, is_integer};
pub use arrays::{ArrayWriter, WriteIds};
pub(crate) use reader::row_number;
pub use reader::{read, read_listed, read_record};
pub use statements::{insert, json_columns, parameter, placeholders, select, update, width};
pub use sums::{read_sum, sums_of, write_sums};

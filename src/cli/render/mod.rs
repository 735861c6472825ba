//! Results as text, tables, templates and JSON.

pub(crate) mod diagnosis;
pub(crate) mod difference;
pub(crate) mod format;
pub(crate) mod names;
pub(crate) mod push;
pub(crate) mod result_files;

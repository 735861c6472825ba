//! What a workflow knows of the process that it runs in.

/// Returns the wall-clock time in RFC 3339, in whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}

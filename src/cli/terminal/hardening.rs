//! What keeps a secret in memory from ending up on a disk.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Turns core dumps off for this process, before any secret is read. The limit keeps dumps from files, and the other
/// setting from the programs that a system pipes them to. Other processes of the same user can no longer attach to this
/// one, and its own view of `/proc/self` stays. Programs that are started can raise the limit again.
pub(crate) fn forbid_core_dumps() {
    let limit = getrlimit(Resource::Core);
    // Neither can fail for a process that gives something up; if one does, the other holds.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: limit.maximum });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

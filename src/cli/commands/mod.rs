//! One file a command: arguments become a plain configuration, one call, and one rendering.

pub(crate) mod build;
pub(crate) mod credential;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod serve;
pub(crate) mod tag;
pub(crate) mod trust;

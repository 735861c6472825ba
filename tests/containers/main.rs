//! Docker, Podman, skopeo and umoci on images of ours, and ours on images of theirs.
//!
//! Everything here needs a Docker engine (found through `DOCKER_HOST` or the default socket) or one
//! of the other programs, so each test is ignored unless asked for: `bin/test` asks for all of them,
//! and then a missing program is a failure, not a skip. Whatever a test starts or loads it removes.
//! Images are made through the library, except in `real_tree`, where the executable goes all the way.

mod bases;
mod composed;
mod docker;
mod images;
mod landing;
mod matrix;
mod measured;
mod podman;
mod programs;
mod real_tree;
mod registry;
mod skopeo;
mod trees;

use testkit::{docker_registry, sandbox, schemas};

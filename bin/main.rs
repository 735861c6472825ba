//! The executable: captures the surroundings and hands over to the library.

use std::process::ExitCode;

use idpbuilder_oci::{cli, env::Env};

fn main() -> ExitCode {
    cli::main(Env::capture())
}

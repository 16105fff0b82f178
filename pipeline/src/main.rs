//! The `trommel` program.

fn main() -> std::process::ExitCode {
    trommel::cli::main(std::env::args_os())
}

//! `reckon`, also `kubectl reckon`.

mod again;
mod agent;
mod args;
mod bundle;
mod contexts;
mod demo;
mod diff;
mod doctor;
mod exit;
mod filter;
mod fix;
mod human;
mod jsonpath;
mod near;
mod node;
mod observe;
mod record;
mod remedy;
mod run;
mod serve;
mod session;
mod signals;
mod style;
mod table;
mod target;
mod terminal;
mod timeline;
mod watch;
mod when;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    run::main()
}

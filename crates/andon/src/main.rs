//! Andon's command line. No logic here: arguments in, one role started, an exit status out
//! (0 done, 1 failed, 2 wrong usage).

mod banner;
mod capture;
mod cli;
mod config;
mod connect;
mod demo;
mod doctor;
mod export;
mod generate;
mod host;
mod import;
mod language;
mod listen;
mod measure;
mod pipeline;
mod query;
mod receive;
mod roles;
mod running;
mod runtime;
mod store;
mod up;
mod why;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: andon_memory::Allocator = andon_memory::Allocator;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli);
    let outcome = match cli.command {
        Command::Up(args) => block_on(|| up::run(args)),
        Command::Gateway(args) => block_on(|| roles::gateway(args)),
        Command::Proxy(args) => block_on(|| roles::proxy(args)),
        Command::Runtime(args) => block_on(|| runtime::role::run(args)),
        Command::Doctor(args) => block_on(|| doctor::run(args)),
        Command::Connect(args) => block_on(|| connect::run(args)),
        Command::Demo(args) => block_on(|| demo::run(args)),
        Command::Host(args) => block_on(|| host::run(args)),
        Command::Why(args) => block_on(|| why::run(args)),
        Command::Measure(args) => measure::run(&args),
        Command::Query(args) => block_on(|| query::run(args)),
        Command::Store(args) => block_on(|| store::run(args)),
        Command::Export(args) => block_on(|| export::run(args)),
        Command::Import(args) => import::run(args),
        Command::Gen(args) => generate::run(args),
        Command::Config(args) => config::show(&args).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        // The chain of causes, in one line each: what failed, then why.
        eprintln!("andon: {error:#}");
        ExitCode::FAILURE
    })
}

fn block_on<F: Future<Output = anyhow::Result<ExitCode>>>(
    role: impl FnOnce() -> F,
) -> anyhow::Result<ExitCode> {
    // One thread serves thousands of calls a second, and the cores are the model's. A call passes
    // through several tasks: on one thread, handing over from one to the next wakes nobody. What
    // takes long (protecting and storing, questions to the store) has threads of its own.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(andon_memory::give_back_at_times)
        .build()?
        .block_on(role())
}

fn start_log(cli: &Cli) {
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

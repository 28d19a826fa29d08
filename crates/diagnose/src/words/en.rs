//! In English.

use andon_model::{Cause, Phase};

use super::{Language, Numbers, Told, told::Part};
use crate::diagnosis::Fact;

const N: Numbers = Numbers(Language::English);

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Queue => "waiting for its turn",
        Phase::Load => "loading the model",
        Phase::Prompt => "reading the prompt",
        Phase::Generate => "writing the answer",
    }
}

pub(super) fn sentence(told: &Told<'_>) -> String {
    let total = N.time(told.total_ns);
    let took = |what: &str| match told.ns {
        Some(ns) => format!("{what} took {} of {total} ({}).", N.time(ns), N.percent(told.share())),
        None => format!("It took {total}."),
    };
    let cost = |phase: &str| slower(told) + &took(phase);
    let message = told.message.map(|text| format!(": {text}")).unwrap_or_default();
    match told.cause {
        Cause::None => match told.phase {
            Some(phase) => format!("Nothing unusual. {}", took(&sentence_case(doing(phase)))),
            None => format!("Nothing unusual. It took {total}."),
        },
        Cause::ColdStart => {
            format!("Cold start{}. {}", first(told), took(&reread(told, "Loading the model")))
        }
        Cause::KeepAliveExpired => {
            format!(
                "The model had left memory{}. {}",
                idle(told),
                took(&reread(told, "Loading it again"))
            )
        }
        Cause::Evicted => {
            let other = told.other_model().unwrap_or("Another model");
            format!(
                "{other} had pushed the model out of memory. {}",
                took(&reread(told, "Loading it again"))
            )
        }
        Cause::OptionsChanged if told.phase == Some(Phase::Prompt) => {
            format!(
                "{}, and the cache was lost with it. {}",
                option(told),
                took("Reading the prompt anew")
            )
        }
        Cause::OptionsChanged => {
            format!("{}, so the model was loaded again. {}", option(told), took("That"))
        }
        Cause::Queue => format!("Another call was ahead. {}", took("Waiting for its turn")),
        Cause::LongPrompt => format!("The prompt is long{}. {}", read(told), took("Reading it")),
        Cause::PromptCacheLost => format!(
            "The prompt had to be read anew{}. {}",
            told.parted().map(|it| format!(", because {} changed", part(it))).unwrap_or_default(),
            took("Reading it")
        ),
        Cause::LongAnswer => format!("The answer is long{}. {}", answer(told), took("The excess")),
        Cause::CpuStarved => {
            format!("Other programs held the CPU{}. {}", programs(told), cost("That"))
        }
        Cause::Steal => {
            format!("The machine's host gave its CPU to others. {}", cost("That"))
        }
        Cause::Throttled => format!("A limit on CPU time held the model back. {}", cost("That")),
        Cause::MemoryPressure => format!("The machine was short of memory. {}", cost("That")),
        Cause::PartlyOnCpu => {
            format!("Only a part of the model is on the GPU. {}", cost("That"))
        }
        Cause::SlowDisk => format!("The disk was slow. {}", took("Its part of loading")),
        Cause::ParallelGeneration => {
            format!("Several answers were written at once. {}", cost("That"))
        }
        Cause::Network => took("The way between the app, Andon and the runtime"),
        Cause::SlowApp => {
            let app = told.service.map(|name| format!(", in {name}")).unwrap_or_default();
            format!("Most of the time passed outside of the model{app}. {}", took("That"))
        }
        Cause::Timeout => match told.phase {
            Some(phase) => {
                format!("Stopped by the time limit after {total}, while {}.", doing(phase))
            }
            None => format!("Stopped by the time limit after {total}."),
        },
        Cause::RuntimeDown => format!("The runtime could not be reached{message}."),
        Cause::OutOfMemory if told.was_killed() => {
            format!("The kernel ended the runtime, because memory ran out{message}.")
        }
        Cause::OutOfMemory => format!("The runtime ran out of memory{message}."),
        Cause::ModelMissing => match told.model {
            Some(model) => format!("The model {model} is not installed."),
            None => "The model is not installed.".to_owned(),
        },
        Cause::QueueFull => "Turned away: too many calls were waiting already.".to_owned(),
        Cause::ClientGone => match told.phase {
            Some(phase) => format!("The reader left after {total}, while {}.", doing(phase)),
            None => format!("The reader left after {total}, before the answer was complete."),
        },
        Cause::ContextExceeded => format!("The text is longer than the model can take{message}."),
        Cause::PromptCut => match told.cut() {
            Some((tokens, limit, enough)) => format!(
                "About {} tokens of the prompt were left out, because the context holds {}. \
                 Set num_ctx to {} or more.",
                N.count(tokens),
                N.count(limit),
                N.count(enough)
            ),
            None => "The start of the prompt was cut off to fit the context.".to_owned(),
        },
        Cause::Unknown if told.message.is_some() => format!("It failed{message}."),
        Cause::Unknown => match told.phase {
            Some(phase) => format!(
                "{} was slower than usual, and nothing seen explains it. {}",
                sentence_case(doing(phase)),
                cost("That")
            ),
            None => format!("It took {total}; why is not known."),
        },
    }
}

pub(super) fn waiting(told: &Told<'_>) -> Option<String> {
    let loading = |why: &str| {
        let usual = told.usual_time().map(|ns| format!(" It usually takes {}.", N.time(ns)));
        format!("{why}.{}", usual.unwrap_or_default())
    };
    let slow = |why: String| format!("Slow, because {why}.{}", pace(told));
    Some(match told.cause {
        Cause::Queue => match told.other_call() {
            Some(model) => format!("Another call to {model} is being answered first."),
            None => "Other calls are answered first.".to_owned(),
        },
        Cause::ColdStart => match told.first_call() {
            Some(true) => loading("The model is loaded anew: the runtime has restarted"),
            Some(false) => loading("The model is loaded: it is the first call to it"),
            None => loading("The model is not in memory, so it is loaded"),
        },
        Cause::KeepAliveExpired => {
            loading(&format!("The model is loaded again, since it had left memory{}", idle(told)))
        }
        Cause::Evicted => {
            let other = told.other_model().unwrap_or("another model");
            loading(&format!("The model is loaded again: {other} had pushed it out of memory"))
        }
        Cause::LongPrompt | Cause::PromptCacheLost => {
            let (read, usual) = told.read()?;
            let usual = usual.map(|usual| format!(", where {} are usual", N.count(usual)));
            let cached = told.is_nothing_cached().then_some("; nothing was cached");
            let parted = told.parted().map(|it| format!(", because {} has changed", part(it)));
            let about = if told.is_reckoned { "About " } else { "" };
            format!(
                "{about}{} tokens are to be read{}{}{}.",
                N.count(read),
                usual.unwrap_or_default(),
                cached.or(parted.as_ref().map(|_| "; the cache was lost")).unwrap_or_default(),
                parted.unwrap_or_default()
            )
        }
        Cause::LongAnswer => format!("The answer is long{}.", answer(told)),
        Cause::CpuStarved => slow(format!("other programs hold the CPU{}", programs(told))),
        Cause::Steal => slow("the machine's host gives its CPU to others".to_owned()),
        Cause::Throttled => slow("a limit on CPU time holds the model back".to_owned()),
        Cause::MemoryPressure => slow("the machine is short of memory".to_owned()),
        Cause::PartlyOnCpu => slow("only a part of the model is on the GPU".to_owned()),
        Cause::ParallelGeneration => slow("another answer is written at the same time".to_owned()),
        _ => return None,
    })
}

fn pace(told: &Told<'_>) -> String {
    let Some((now, usual)) = told.pace() else { return String::new() };
    format!(" {} tokens/s, where {} are usual.", N.figure(now), N.figure(usual))
}

pub(super) fn share(told: &Told<'_>) -> String {
    let what = match told.cause {
        Cause::ColdStart => "Loading the model",
        Cause::KeepAliveExpired => "Loading the model again, its keep-alive was over",
        Cause::Evicted => "Loading the model again, another had pushed it out",
        Cause::OptionsChanged => "Loading the model again, for other options",
        Cause::Queue => "Waiting for its turn",
        Cause::LongPrompt => "A long prompt",
        Cause::PromptCacheLost => "Reading again what was cached before",
        Cause::LongAnswer => "A long answer",
        Cause::CpuStarved => "Other programs on the CPU",
        Cause::Steal => "CPU given to other machines",
        Cause::Throttled => "The limit on CPU time",
        Cause::MemoryPressure => "Too little memory",
        Cause::PartlyOnCpu => "Layers that are not on the GPU",
        Cause::SlowDisk => "A slow disk",
        Cause::ParallelGeneration => "Another answer at the same time",
        Cause::Network => "The way to and from the runtime",
        Cause::SlowApp => "The app itself",
        Cause::Unknown => "Slower than usual, for no known reason",
        _ => "The failure",
    };
    let time = N.time(told.ns.unwrap_or(0));
    format!("{what}: {time} ({})", N.percent(told.share()))
}

pub(super) fn fact(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Idle { ns, kept_ns } => {
            format!("Last used {} before; kept for {}.", N.time(*ns), N.limit(*kept_ns))
        }
        Fact::FirstCall { runtime_restarted: true } => {
            "The runtime had restarted since.".to_owned()
        }
        Fact::FirstCall { .. } => "The first call to this model that Andon saw.".to_owned(),
        Fact::OtherModel { model } => format!("{model} was loaded in between."),
        Fact::Option { name, from, to } => {
            let value = |it: &Option<String>| it.clone().unwrap_or_else(|| "default".to_owned());
            format!("{name}: {} before, {} now.", value(from), value(to))
        }
        Fact::Prompt { read, cached, usual } => {
            let usual = usual.map(|it| format!("; usually {} are read", N.count(it)));
            format!(
                "{} tokens read, {} from the cache{}.",
                N.count(*read),
                N.count(*cached),
                usual.unwrap_or_default()
            )
        }
        Fact::Parted { at } => {
            format!("Changed since the call before: {}.", part(Part::parse(at)?))
        }
        Fact::Answer { tokens, usual } => {
            format!("{} tokens written; usually {}.", N.count(*tokens), N.count(*usual))
        }
        Fact::Pace { now, usual } => {
            format!("{} tokens/s; usually {}.", N.figure(*now), N.figure(*usual))
        }
        Fact::UsualTime { ns } => format!("It usually takes {}.", N.time(*ns)),
        Fact::OtherPrograms { cores, of } => {
            format!("Other programs used {} of {of} cores.", N.figure(*cores))
        }
        Fact::FreeThreads { count: 1 } => "One thread of the model fits beside them.".to_owned(),
        Fact::FreeThreads { count } => format!("{count} threads of the model fit beside them."),
        Fact::Process { name, cores } => format!("Most of it {name}, {} cores.", N.figure(*cores)),
        Fact::Steal { share } => format!("Stolen CPU time: {}.", N.percent(*share)),
        Fact::Throttled { share } => format!("Held back {} of the time.", N.percent(*share)),
        Fact::Memory { pressure, swap_in_bytes_per_s, used, total } => {
            let mut text = format!("Memory: {} of {} used", N.bytes(*used), N.bytes(*total));
            if let Some(pressure) = pressure {
                text += &format!("; tasks waited for it {} of the time", N.percent(*pressure));
            }
            if let Some(swap) = swap_in_bytes_per_s.filter(|swap| *swap > 0.0) {
                text += &format!("; {} came back from swap", N.bytes_per_s(swap));
            }
            text + "."
        }
        Fact::MemoryRise { before, after } => format!(
            "The runtime's memory rose from {} to {} meanwhile.",
            N.bytes(*before),
            N.bytes(*after)
        ),
        Fact::Disk { read_bytes_per_s, pressure } => {
            let read = read_bytes_per_s.map(|it| format!("{} read", N.bytes_per_s(it)));
            let waited = pressure.map(|it| format!("tasks waited for it {}", N.percent(it)));
            let told: Vec<String> = read.into_iter().chain(waited).collect();
            format!("Disk: {}.", told.join("; "))
        }
        Fact::OnGpu { share } => format!("{} of the model is on the GPU.", N.percent(*share)),
        Fact::OtherCall { model, .. } => match model {
            Some(model) => format!("Another call to {model} ran at that time."),
            None => "Another call ran at that time.".to_owned(),
        },
        Fact::OomKills { count } => {
            format!("The kernel ended {count} processes for want of memory.")
        }
        Fact::Cut { .. } | Fact::When { .. } | Fact::Room { .. } => return None,
    })
}

pub(super) fn advice(told: &Told<'_>) -> Option<String> {
    let text = match told.cause {
        Cause::ColdStart => match room(told) {
            Some(room) => format!("The next calls find it in memory. {room}"),
            None => {
                "The first call after a start loads the model; the next ones find it in memory."
                    .to_owned()
            }
        },
        Cause::KeepAliveExpired => {
            let room = room(told).unwrap_or_default();
            format!(
                "A longer keep_alive, such as 30m, keeps the model loaded between calls. {room}"
            )
        }
        Cause::Evicted => {
            "Fewer models at a time, or more memory, would keep this one loaded.".to_owned()
        }
        Cause::OptionsChanged => "Calls with the same options share one loaded model.".to_owned(),
        Cause::Queue => "Shorter answers, or fewer calls at once, shorten the wait.".to_owned(),
        Cause::LongPrompt => {
            "A prompt that begins like the one before is read from the cache.".to_owned()
        }
        Cause::PromptCacheLost => {
            "Keep the beginning of the prompt the same from call to call.".to_owned()
        }
        Cause::LongAnswer => "An output limit (num_predict) keeps answers short.".to_owned(),
        Cause::CpuStarved => {
            let other = match told.process() {
                Some(name) => format!("Move {name} elsewhere, or give it a lower priority (nice)."),
                None => {
                    "Move other programs elsewhere, or give them a lower priority (nice).".into()
                }
            };
            let threads = told.free_threads().map(|count| {
                format!(
                    " If they have to stay, fewer threads are faster: {count} (num_thread in Ollama, \
                     --threads in llama-server)."
                )
            });
            other + &threads.unwrap_or_default()
        }
        Cause::Steal => {
            "Ask the provider for dedicated CPUs, or move to another machine.".to_owned()
        }
        Cause::Throttled => {
            "Raise the container's CPU limit, or use no more threads than it allows.".to_owned()
        }
        Cause::MemoryPressure => {
            "A smaller model or context, or fewer programs beside it, needs less memory.".to_owned()
        }
        Cause::PartlyOnCpu => {
            "A smaller quantisation or context would fit on the GPU as a whole.".to_owned()
        }
        Cause::SlowDisk => "Keep the model loaded, or its file on a faster disk.".to_owned(),
        Cause::ParallelGeneration => {
            "One call at a time answers each of them sooner on this machine.".to_owned()
        }
        Cause::Network => "Bring the app and the runtime closer together.".to_owned(),
        Cause::SlowApp => "The waterfall shows which part of the app took it.".to_owned(),
        Cause::Timeout => {
            "A shorter prompt or output limit, or a longer time limit, would let it finish."
                .to_owned()
        }
        Cause::RuntimeDown => {
            "andon doctor says what listens where, and starts from there.".to_owned()
        }
        Cause::OutOfMemory => "A smaller model or context needs less memory.".to_owned(),
        Cause::ModelMissing => "Choose one of the installed models on the chat page.".to_owned(),
        Cause::QueueFull => "Ask again in a moment.".to_owned(),
        Cause::ContextExceeded => "Shorten the prompt or begin a new conversation.".to_owned(),
        Cause::None | Cause::ClientGone | Cause::PromptCut | Cause::Unknown => return None,
    };
    Some(text.trim_end().to_owned())
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A load whose cost holds the prompt that had been in the cache.
fn reread(told: &Told<'_>, loading: &str) -> String {
    let more = if told.read().is_some() { " and reading the prompt anew" } else { "" };
    format!("{loading}{more}")
}

fn first(told: &Told<'_>) -> &'static str {
    match told.first_call() {
        Some(true) => ", for the runtime had restarted",
        Some(false) => " (first call to this model)",
        None => "",
    }
}

fn idle(told: &Told<'_>) -> String {
    match told.idle() {
        Some((ns, kept)) => {
            format!(": unused for {}, it is kept for {}", N.time(ns), N.limit(kept))
        }
        None => " after its keep-alive time".to_owned(),
    }
}

fn option(told: &Told<'_>) -> String {
    let Some((name, from, to)) = told.option() else { return "Options changed".to_owned() };
    let value = |value: Option<&str>| value.unwrap_or("its default").to_owned();
    format!("{name} went from {} to {}", value(from), value(to))
}

fn read(told: &Told<'_>) -> String {
    match told.read() {
        Some((read, Some(usual))) => {
            format!(": {} tokens were read, usually {}", N.count(read), N.count(usual))
        }
        Some((read, None)) => format!(": {} tokens were read", N.count(read)),
        None => String::new(),
    }
}

fn answer(told: &Told<'_>) -> String {
    let Some((tokens, usual)) = told.answer() else { return String::new() };
    format!(": {} tokens, usually {}", N.count(tokens), N.count(usual))
}

fn slower(told: &Told<'_>) -> String {
    let Some((now, usual)) = told.pace() else { return String::new() };
    format!("It came to {} tokens/s instead of {}. ", N.figure(now), N.figure(usual))
}

fn programs(told: &Told<'_>) -> String {
    let cores =
        told.other_programs().map(|(cores, of)| format!(": {} of {of} cores", N.figure(cores)));
    let process = told.process().map(|name| format!(", most of it {name}"));
    cores.unwrap_or_default() + &process.unwrap_or_default()
}

fn part(part: Part) -> String {
    match part {
        Part::System => "the system text".to_owned(),
        Part::Message(number) => format!("message {number}"),
        Part::Tool(number) => format!("tool definition {number}"),
    }
}

fn room(told: &Told<'_>) -> Option<String> {
    let (free, model) = told.room()?;
    Some(format!("It takes {} of memory; {} are free beside it.", N.bytes(model), N.bytes(free)))
}

/// An error's name in words, to stand behind what failed.
pub(super) fn error(name: &str) -> Option<&'static str> {
    Some(match name {
        "no_message" => "the request held no message",
        "bad_json" => "the request was not valid JSON",
        "bad_field" => "a field of the request had the wrong type",
        "bad_utf8" => "the request was not valid UTF-8",
        "too_large" => "the request was too large",
        "body_timeout" => "the request did not arrive in time",
        "not_found" => "there is nothing at this address",
        "method_not_allowed" => "this address takes another method",
        "stream_unfinished" => "the answer ended without saying that it was whole",
        "proxy_failed" => "the proxy could not be reached",
        _ => return None,
    })
}

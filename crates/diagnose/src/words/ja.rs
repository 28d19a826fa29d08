//! In Japanese.

use andon_model::{Cause, Phase};

use super::{Language, Numbers, Told, told::Part};
use crate::diagnosis::Fact;

const N: Numbers = Numbers(Language::Japanese);

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Queue => "順番待ち",
        Phase::Load => "モデルの読み込み",
        Phase::Prompt => "プロンプトの処理",
        Phase::Generate => "回答の生成",
    }
}

pub(super) fn sentence(told: &Told<'_>) -> String {
    let total = N.time(told.total_ns);
    let took = |what: &str| match told.ns {
        Some(ns) => {
            format!("{total}のうち {}({})が{what}です。", N.time(ns), N.percent(told.share()))
        }
        None => format!("所要時間は {total}です。"),
    };
    let cost = || slower(told) + &took("その影響");
    let message = told.message.map(|text| format!("({text})")).unwrap_or_default();
    match told.cause {
        Cause::None => match told.phase {
            Some(phase) => format!("特に変わった点はありません。{}", took(doing(phase))),
            None => format!("特に変わった点はありません。所要時間は {total}です。"),
        },
        Cause::ColdStart => {
            format!(
                "コールドスタートです{}。{}",
                first(told),
                took(&reread(told, "モデルの読み込み"))
            )
        }
        Cause::KeepAliveExpired => {
            format!(
                "{}、モデルはメモリから外れていました。{}",
                idle(told),
                took(&reread(told, "再読み込み"))
            )
        }
        Cause::Evicted => {
            let other = told.other_model().unwrap_or("別のモデル");
            format!(
                "{other} に追い出され、メモリから外れていました。{}",
                took(&reread(told, "再読み込み"))
            )
        }
        Cause::OptionsChanged if told.phase == Some(Phase::Prompt) => {
            format!("{}、キャッシュが失われました。{}", option(told), took("プロンプトの読み直し"))
        }
        Cause::OptionsChanged => {
            format!("{}、モデルを読み込み直しました。{}", option(told), took("読み込み"))
        }
        Cause::Queue => format!("先に実行中の呼び出しがありました。{}", took("順番待ち")),
        Cause::LongPrompt => {
            format!("プロンプトが長いためです{}。{}", read(told), took("その処理"))
        }
        Cause::PromptCacheLost => match told.parted() {
            Some(it) => format!(
                "{}が変わったため、プロンプトを読み直しました。{}",
                part(it),
                took("読み直し")
            ),
            None => format!("プロンプトを最初から読み直しました。{}", took("読み直し")),
        },
        Cause::LongAnswer => {
            format!("回答が長いためです{}。{}", answer(told), took("いつもより長い分"))
        }
        Cause::CpuStarved => {
            format!("ほかのプログラムが CPU を使っていました{}。{}", programs(told), cost())
        }
        Cause::Steal => format!("ホスト側がほかのマシンに CPU を回していました。{}", cost()),
        Cause::Throttled => format!("CPU の使用上限に達していました。{}", cost()),
        Cause::MemoryPressure => format!("マシンのメモリが足りませんでした。{}", cost()),
        Cause::PartlyOnCpu => format!("モデルの一部しか GPU に載っていません。{}", cost()),
        Cause::SlowDisk => format!("ディスクが遅いためです。{}", took("読み込みの遅れ")),
        Cause::ParallelGeneration => format!("複数の回答を同時に生成していました。{}", cost()),
        Cause::Network => took("アプリ、Andon、ランタイムの間の通信"),
        Cause::SlowApp => {
            let app = told.service.map(|name| format!("({name})")).unwrap_or_default();
            format!("大部分はモデルの外、アプリ自身{app}の時間です。{}", took("その時間"))
        }
        Cause::Timeout => match told.phase {
            Some(phase) => {
                format!("{}の途中で時間切れとなり、{total}で打ち切りました。", doing(phase))
            }
            None => format!("時間切れのため、{total}で打ち切りました。"),
        },
        Cause::RuntimeDown => format!("ランタイムに接続できませんでした{message}。"),
        Cause::OutOfMemory if told.was_killed() => {
            format!("メモリが尽き、カーネルがランタイムを終了させました{message}。")
        }
        Cause::OutOfMemory => format!("ランタイムのメモリが足りなくなりました{message}。"),
        Cause::ModelMissing => match told.model {
            Some(model) => format!("モデル {model} がインストールされていません。"),
            None => "モデルがインストールされていません。".to_owned(),
        },
        Cause::QueueFull => "待っている呼び出しが多すぎるため、受け付けませんでした。".to_owned(),
        Cause::ClientGone => match told.phase {
            Some(phase) => format!("{}の途中、{total}で利用者が離れました。", doing(phase)),
            None => format!("回答の完了前に、利用者が {total}で離れました。"),
        },
        Cause::ContextExceeded => format!("文章がモデルの扱える長さを超えています{message}。"),
        Cause::PromptCut => match told.cut() {
            Some((tokens, limit, enough)) => format!(
                "コンテキストは {} トークンまでのため、プロンプトのうち約 {} トークンが渡りませんでした。\
                 num_ctx を {} 以上にしてください。",
                N.count(limit),
                N.count(tokens),
                N.count(enough)
            ),
            None => "プロンプトの先頭が、長さの上限に合わせて切り捨てられました。".to_owned(),
        },
        Cause::Unknown if told.message.is_some() => format!("失敗しました{message}。"),
        Cause::Unknown => match told.phase {
            Some(phase) => {
                format!("{}がいつもより遅く、理由は見つかりません。{}", doing(phase), cost())
            }
            None => format!("{total}かかりました。理由は分かりません。"),
        },
    }
}

pub(super) fn waiting(told: &Told<'_>) -> Option<String> {
    let loading = |why: &str| {
        let usual = told.usual_time().map(|ns| format!("いつもは {}かかります。", N.time(ns)));
        format!("{why}。{}", usual.unwrap_or_default())
    };
    let slow = |why: String| format!("{why}、遅くなっています。{}", pace(told));
    Some(match told.cause {
        Cause::Queue => match told.other_call() {
            Some(model) => format!("先に {model} への別の呼び出しに答えています。"),
            None => "先に別の呼び出しに答えています。".to_owned(),
        },
        Cause::ColdStart => match told.first_call() {
            Some(true) => loading("ランタイムが再起動したため、モデルを読み込み直しています"),
            Some(false) => loading("このモデルへの最初の呼び出しのため、読み込んでいます"),
            None => loading("モデルがメモリにないため、読み込んでいます"),
        },
        Cause::KeepAliveExpired => {
            loading(&format!("{}メモリから外れたため、モデルを読み込み直しています", idle(told)))
        }
        Cause::Evicted => {
            let other = told.other_model().unwrap_or("別のモデル");
            loading(&format!("{other} に追い出されたため、モデルを読み込み直しています"))
        }
        Cause::LongPrompt | Cause::PromptCacheLost => {
            let (read, usual) = told.read()?;
            let usual = usual.map(|usual| format!("(いつもは {})", N.count(usual)));
            let cached = told.is_nothing_cached().then_some("キャッシュはありません。");
            let parted = told
                .parted()
                .map(|it| format!("{}が変わったため、キャッシュが使えません。", part(it)));
            let about = if told.is_reckoned { "約 " } else { "" };
            format!(
                "{about}{} トークンを読んでいます{}。{}",
                N.count(read),
                usual.unwrap_or_default(),
                parted.as_deref().or(cached).unwrap_or_default()
            )
        }
        Cause::LongAnswer => format!("回答が長くなっています{}。", answer(told)),
        Cause::CpuStarved => slow(format!("ほかのプログラムが CPU を使っていて{}", programs(told))),
        Cause::Steal => slow("ホストがほかのマシンに CPU を回していて".to_owned()),
        Cause::Throttled => slow("CPU 時間の制限がかかっていて".to_owned()),
        Cause::MemoryPressure => slow("メモリが足りず".to_owned()),
        Cause::PartlyOnCpu => slow("モデルの一部しか GPU に載っておらず".to_owned()),
        Cause::ParallelGeneration => slow("別の回答を同時に生成していて".to_owned()),
        _ => return None,
    })
}

fn pace(told: &Told<'_>) -> String {
    let Some((now, usual)) = told.pace() else { return String::new() };
    format!("毎秒 {} トークン(いつもは {})です。", N.figure(now), N.figure(usual))
}

pub(super) fn share(told: &Told<'_>) -> String {
    let what = match told.cause {
        Cause::ColdStart => "モデルの読み込み",
        Cause::KeepAliveExpired => "保持時間切れによる再読み込み",
        Cause::Evicted => "別のモデルに追い出された後の再読み込み",
        Cause::OptionsChanged => "オプション変更による再読み込み",
        Cause::Queue => "順番待ち",
        Cause::LongPrompt => "長いプロンプト",
        Cause::PromptCacheLost => "キャッシュにあった部分の読み直し",
        Cause::LongAnswer => "長い回答",
        Cause::CpuStarved => "ほかのプログラムの CPU 使用",
        Cause::Steal => "ほかのマシンに回った CPU",
        Cause::Throttled => "CPU の使用上限",
        Cause::MemoryPressure => "メモリの不足",
        Cause::PartlyOnCpu => "GPU に載らない層",
        Cause::SlowDisk => "遅いディスク",
        Cause::ParallelGeneration => "同時に生成していた別の回答",
        Cause::Network => "ランタイムとの通信",
        Cause::SlowApp => "アプリ自身",
        Cause::Unknown => "理由の分からない遅れ",
        _ => "失敗",
    };
    format!("{what}: {}({})", N.time(told.ns.unwrap_or(0)), N.percent(told.share()))
}

pub(super) fn fact(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Idle { ns, kept_ns } => {
            format!("前回の使用から {}、保持時間は {}です。", N.time(*ns), N.limit(*kept_ns))
        }
        Fact::FirstCall { runtime_restarted: true } => {
            "前回の後にランタイムが再起動しています。".to_owned()
        }
        Fact::FirstCall { .. } => "Andon が見た、このモデルへの最初の呼び出しです。".to_owned(),
        Fact::OtherModel { model } => format!("その間に {model} が読み込まれました。"),
        Fact::Option { name, from, to } => {
            let value = |it: &Option<String>| it.clone().unwrap_or_else(|| "既定値".to_owned());
            format!("{name}: 前回 {}、今回 {}。", value(from), value(to))
        }
        Fact::Prompt { read, cached, usual } => {
            let usual = usual.map(|it| format!("。いつもは {} トークン", N.count(it)));
            format!(
                "{} トークンを処理、{} トークンはキャッシュから{}。",
                N.count(*read),
                N.count(*cached),
                usual.unwrap_or_default()
            )
        }
        Fact::Parted { at } => format!("前回から変わった部分: {}。", part(Part::parse(at)?)),
        Fact::Answer { tokens, usual } => {
            format!("{} トークンを生成。いつもは {}。", N.count(*tokens), N.count(*usual))
        }
        Fact::Pace { now, usual } => {
            format!("{} トークン/秒。いつもは {}。", N.figure(*now), N.figure(*usual))
        }
        Fact::UsualTime { ns } => format!("いつもは {}。", N.time(*ns)),
        Fact::OtherPrograms { cores, of } => {
            format!("ほかのプログラムが {of} コアのうち {} を使用。", N.figure(*cores))
        }
        Fact::FreeThreads { count } => format!("残りに収まるモデルのスレッドは {count} です。"),
        Fact::Process { name, cores } => {
            format!("最も多いのは {name} の {} コア。", N.figure(*cores))
        }
        Fact::Steal { share } => format!("CPU スチール: {}。", N.percent(*share)),
        Fact::Throttled { share } => {
            format!("時間の {} で CPU を止められました。", N.percent(*share))
        }
        Fact::Memory { pressure, swap_in_bytes_per_s, used, total } => {
            let mut text = format!("メモリ: {} のうち {} を使用", N.bytes(*total), N.bytes(*used));
            if let Some(pressure) = pressure {
                text += &format!("、時間の {} でメモリ待ち", N.percent(*pressure));
            }
            if let Some(swap) = swap_in_bytes_per_s.filter(|swap| *swap > 0.0) {
                text += &format!("、スワップから {}", N.bytes_per_s(swap));
            }
            text + "。"
        }
        Fact::MemoryRise { before, after } => format!(
            "その間にランタイムのメモリが {} から {} に増えました。",
            N.bytes(*before),
            N.bytes(*after)
        ),
        Fact::Disk { read_bytes_per_s, pressure } => {
            let read = read_bytes_per_s.map(|it| format!("ディスク読み込み {}", N.bytes_per_s(it)));
            let waited = pressure.map(|it| format!("時間の {} でディスク待ち", N.percent(it)));
            let told: Vec<String> = read.into_iter().chain(waited).collect();
            format!("{}。", told.join("、"))
        }
        Fact::OnGpu { share } => format!("モデルの {} が GPU にあります。", N.percent(*share)),
        Fact::OtherCall { model, .. } => match model {
            Some(model) => format!("同じ時に {model} への別の呼び出しがありました。"),
            None => "同じ時に別の呼び出しがありました。".to_owned(),
        },
        Fact::OomKills { count } => {
            format!("メモリ不足のため、カーネルが {count} 個のプロセスを終了させました。")
        }
        Fact::Cut { .. } | Fact::When { .. } | Fact::Room { .. } => return None,
    })
}

pub(super) fn advice(told: &Told<'_>) -> Option<String> {
    let text = match told.cause {
        Cause::ColdStart => {
            let room = room(told).unwrap_or_default();
            format!("次からはメモリにあるモデルを使います。{room}")
        }
        Cause::KeepAliveExpired => {
            let room = room(told).unwrap_or_default();
            format!("keep_alive を 30m のように長くすると、モデルがメモリに残ります。{room}")
        }
        Cause::Evicted => {
            "同時に使うモデルを減らすか、メモリを増やすと、読み込まれたまま残ります。".to_owned()
        }
        Cause::OptionsChanged => {
            "オプションをそろえると、読み込み済みのモデルを共有できます。".to_owned()
        }
        Cause::Queue => {
            "回答を短くするか、同時の呼び出しを減らすと、待ち時間が縮みます。".to_owned()
        }
        Cause::LongPrompt => {
            "前回と同じ書き出しのプロンプトは、キャッシュから読まれます。".to_owned()
        }
        Cause::PromptCacheLost => "プロンプトの先頭を毎回同じにしてください。".to_owned(),
        Cause::LongAnswer => "出力の上限(num_predict)で回答を短くできます。".to_owned(),
        Cause::CpuStarved => {
            let other = match told.process() {
                Some(name) => {
                    format!("{name} を別のマシンに移すか、優先度を下げて(nice)ください。")
                }
                None => "ほかのプログラムを移すか、優先度を下げて(nice)ください。".to_owned(),
            };
            let threads = told.free_threads().map(|count| {
                format!(
                    "移せない場合は、スレッドを {count} に減らすと速くなります(Ollama は num_thread、\
                     llama-server は --threads)。"
                )
            });
            other + &threads.unwrap_or_default()
        }
        Cause::Steal => "専有 CPU のプランか、別のマシンを検討してください。".to_owned(),
        Cause::Throttled => {
            "コンテナの CPU 上限を上げるか、スレッド数を上限に合わせてください。".to_owned()
        }
        Cause::MemoryPressure => {
            "小さなモデルや短いコンテキストにするか、ほかのプログラムを減らしてください。"
                .to_owned()
        }
        Cause::PartlyOnCpu => {
            "小さな量子化や短いコンテキストなら、すべて GPU に載ります。".to_owned()
        }
        Cause::SlowDisk => "モデルを保持するか、速いディスクに置いてください。".to_owned(),
        Cause::ParallelGeneration => {
            "このマシンでは、1 件ずつ処理するほうがそれぞれ早く終わります。".to_owned()
        }
        Cause::Network => "アプリとランタイムを近くに置いてください。".to_owned(),
        Cause::SlowApp => "アプリのどこで時間がかかったかは、下の図で分かります。".to_owned(),
        Cause::Timeout => {
            "プロンプトや出力上限を短くするか、時間の上限を延ばすと、最後まで進みます。".to_owned()
        }
        Cause::RuntimeDown => {
            "andon doctor で、何がどこで待ち受けているかを確かめられます。".to_owned()
        }
        Cause::OutOfMemory => {
            "小さなモデルや短いコンテキストなら、メモリが少なくて済みます。".to_owned()
        }
        Cause::ModelMissing => {
            "チャットのページで、インストール済みのモデルを選んでください。".to_owned()
        }
        Cause::QueueFull => "少し待ってから、もう一度お試しください。".to_owned(),
        Cause::ContextExceeded => "プロンプトを短くするか、新しい会話を始めてください。".to_owned(),
        Cause::None | Cause::ClientGone | Cause::PromptCut | Cause::Unknown => return None,
    };
    Some(text)
}

/// A load whose cost holds the prompt that had been in the cache.
fn reread(told: &Told<'_>, loading: &str) -> String {
    let more = if told.read().is_some() { "とプロンプトの読み直し" } else { "" };
    format!("{loading}{more}")
}

fn first(told: &Told<'_>) -> &'static str {
    match told.first_call() {
        Some(true) => "(ランタイムの再起動後)",
        Some(false) => "(このモデルへの最初の呼び出し)",
        None => "",
    }
}

fn idle(told: &Told<'_>) -> String {
    match told.idle() {
        Some((ns, kept)) => {
            format!("{}使われず、保持時間の {}が過ぎて", N.time(ns), N.limit(kept))
        }
        None => "保持時間が過ぎ".to_owned(),
    }
}

fn option(told: &Told<'_>) -> String {
    let Some((name, from, to)) = told.option() else {
        return "オプションが変わり".to_owned();
    };
    let value = |value: Option<&str>| value.unwrap_or("既定値").to_owned();
    format!("{name} が {} から {} に変わり", value(from), value(to))
}

fn read(told: &Told<'_>) -> String {
    match told.read() {
        Some((read, Some(usual))) => {
            format!("({} トークン、いつもは {})", N.count(read), N.count(usual))
        }
        Some((read, None)) => format!("({} トークン)", N.count(read)),
        None => String::new(),
    }
}

fn answer(told: &Told<'_>) -> String {
    let Some((tokens, usual)) = told.answer() else { return String::new() };
    format!("({} トークン、いつもは {})", N.count(tokens), N.count(usual))
}

fn slower(told: &Told<'_>) -> String {
    let Some((now, usual)) = told.pace() else { return String::new() };
    format!("いつもの {} トークン/秒が {} トークン/秒でした。", N.figure(usual), N.figure(now))
}

fn programs(told: &Told<'_>) -> String {
    let Some((cores, of)) = told.other_programs() else { return String::new() };
    let process = told.process().map(|name| format!("、主に {name}")).unwrap_or_default();
    format!("({of} コアのうち {}{process})", N.figure(cores))
}

fn part(part: Part) -> String {
    match part {
        Part::System => "システムプロンプト".to_owned(),
        Part::Message(number) => format!("{number} 番目のメッセージ"),
        Part::Tool(number) => format!("{number} 番目のツール定義"),
    }
}

fn room(told: &Told<'_>) -> Option<String> {
    let (free, model) = told.room()?;
    Some(format!("必要なメモリは {}、ほかに {} 空いています。", N.bytes(model), N.bytes(free)))
}

/// An error's name in words, to stand behind what failed.
pub(super) fn error(name: &str) -> Option<&'static str> {
    Some(match name {
        "no_message" => "メッセージが空でした",
        "bad_json" => "リクエストが JSON ではありませんでした",
        "bad_field" => "リクエストの項目の型が違いました",
        "bad_utf8" => "リクエストが UTF-8 ではありませんでした",
        "too_large" => "リクエストが大きすぎました",
        "body_timeout" => "リクエストが時間内に届きませんでした",
        "not_found" => "このアドレスには何もありません",
        "method_not_allowed" => "このアドレスでは使えないメソッドです",
        "stream_unfinished" => "回答が完了の印なしに終わりました",
        "proxy_failed" => "プロキシに接続できませんでした",
        _ => return None,
    })
}

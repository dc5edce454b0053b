//! Tables and figures of the page: plays the worlds at full length and writes down what was seen.

use dispatchyard::dispatch::Settings;
use dispatchyard::model::JobPriority;

use crate::chart::{Axis, Chart, Line};
use crate::experiments::yard::Course;
use crate::experiments::{
    HOUR_MS, MINUTE_MS, Range, aging, due, fleets, on_all_cores, percentile, shares, spread,
};

/// What stands between the two marks of its name on the page.
pub(crate) struct Block {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// A file below `figures`.
pub(crate) struct Figure {
    pub(crate) file: &'static str,
    pub(crate) chart: Chart,
}

/// Everything on the page that is not prose.
pub(crate) fn all() -> (Vec<Block>, Vec<Figure>) {
    let sections = [aging(), shares(), due(), learned(), spread()];
    let (mut blocks, mut figures) = (Vec::new(), Vec::new());
    for (mut some_blocks, mut some_figures) in sections {
        blocks.append(&mut some_blocks);
        figures.append(&mut some_figures);
    }
    (blocks, figures)
}

type Section = (Vec<Block>, Vec<Figure>);

fn table(head: &str, rows: Vec<String>) -> String {
    let columns = head.matches('|').count() - 1;
    let rule = format!("| --- |{}", " ---: |".repeat(columns - 1));
    [head.to_owned(), rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn minutes(ms: i64) -> f64 {
    ms as f64 / MINUTE_MS as f64
}

fn hours(ms: i64) -> f64 {
    ms as f64 / HOUR_MS as f64
}

fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.into(), points, dashed: false }
}

fn dashed(name: impl Into<String>, points: Vec<(f64, f64)>) -> Line {
    Line { dashed: true, ..line(name, points) }
}

fn aging() -> Section {
    let on_ms = Settings::default().aging_ms;
    let day = |critical_percent, aging_ms| aging::Day {
        stream_ms: 6 * HOUR_MS,
        critical_percent,
        aging_ms,
    };
    let levels = [(on_ms, "on"), (0, "off")].map(|(aging_ms, name)| {
        let courses = aging::play(day(20, aging_ms), 1);
        let rows = JobPriority::ALL.map(|priority| {
            let of_level = courses.iter().filter(|it| it.work.priority == priority);
            let mut waits: Vec<_> = of_level.filter_map(Course::wait_ms).collect();
            let mean = waits.iter().sum::<i64>() / waits.len() as i64;
            let shown = [mean, percentile(&mut waits, 95), percentile(&mut waits, 100)];
            let [mean, p95, most] = shown.map(minutes);
            format!("| {priority}, {name} | {} | {mean:.1} | {p95:.1} | {most:.1} |", waits.len())
        });
        (courses, rows)
    });
    let head = "| level, aging | jobs | mean | 95 of 100 | longest |";
    let [on, off] = levels;
    let text = table(head, on.1.into_iter().chain(off.1).collect());
    let lines = |courses: &[Course]| {
        let of_level = |priority: JobPriority| {
            let of_level = courses.iter().filter(|it| it.work.priority == priority);
            let point = |it: &Course| Some((hours(it.queued_ms), minutes(it.wait_ms()?)));
            line(priority.as_str(), of_level.filter_map(point).collect())
        };
        aging::PATIENT.map(of_level).into()
    };
    let chart = |title, courses: &[Course], most| Chart {
        title,
        x: Axis { name: "queued after, in hours", most: 6.0 },
        y: Axis { name: "wait, in minutes", most },
        lines: lines(courses),
    };
    let figures = vec![
        Figure { file: "aging-on.svg", chart: chart("Waits with aging", &on.0, 40.0) },
        Figure { file: "aging-off.svg", chart: chart("Waits without aging", &off.0, 400.0) },
    ];

    let seeds: Vec<u64> = (1..=5).collect();
    let rows = [0, 25, 50, 75, 90].into_iter().map(|critical_percent| {
        let all = on_all_cores(&seeds, |seed| aging::play(day(critical_percent, on_ms), *seed));
        let longest = |priority| {
            let of_seed = all.iter().map(|courses| aging::longest_ms(courses, priority));
            format!("{:.0}", minutes(of_seed.max().unwrap_or(0)))
        };
        let cells = JobPriority::ALL.map(longest).join(" | ");
        format!("| {critical_percent} % | {cells} |")
    });
    let head = "| critical work takes | critical | high | normal | low | background |";
    let starving = Block { name: "starving", text: table(head, rows.collect()) };
    (vec![Block { name: "aging", text }, starving], figures)
}

fn shares() -> Section {
    let day = shares::Day { leaves_ms: 2 * HOUR_MS, returns_ms: 4 * HOUR_MS, ends_ms: 6 * HOUR_MS };
    let seen = shares::play(day, 1);
    let weights = shares::WEIGHTS.map(f64::from);
    let due = |here: usize| {
        let sum: f64 = weights[..here].iter().sum();
        [0, 1, 2].map(|at| if at < here { 100.0 * weights[at] / sum } else { 0.0 })
    };
    // The jobs of who leaves run out in the first minutes.
    let times = [
        ("all three want runners", 0, day.leaves_ms, 3),
        ("weight 4 is away", day.leaves_ms + 10 * MINUTE_MS, day.returns_ms, 2),
        ("its first ten minutes back", day.returns_ms, day.returns_ms + 10 * MINUTE_MS, 3),
        ("all three again", day.returns_ms, day.ends_ms, 3),
    ];
    let rows = times.map(|(what, from_ms, to_ms, here)| {
        let parts = seen.parts(from_ms, to_ms).map(|part| 100.0 * part);
        let cell = |at: usize| format!("{:.1} ({:.1})", parts[at], due(here)[at]);
        let (from, to) = (minutes(from_ms), minutes(to_ms));
        format!("| {what} ({from:.0} to {to:.0} min) | {} |", [0, 1, 2].map(cell).join(" | "))
    });
    let text = table("| time | weight 1 | weight 2 | weight 4 |", rows.into());

    let seeds: Vec<u64> = (1..=5).collect();
    let all = on_all_cores(&seeds, |seed| shares::play(day, *seed).apart);
    let rows = all[0].iter().enumerate().map(|(at, first)| {
        let of_seeds: Vec<_> = all.iter().map(|seed| seed[at].ms() as f64 / 1_000.0).collect();
        let (a, b) = first.pair;
        let (a, b) = (shares::WEIGHTS[a], shares::WEIGHTS[b]);
        let (from, to) = (hours(first.from_ms), hours(first.to_ms));
        let Range { mean, most, .. } = Range::of(&of_seeds);
        let bound = first.bound_ms() as f64 / 1_000.0;
        format!("| {a} and {b}, {from:.0} to {to:.0} h | {mean:.0} | {most:.0} | {bound:.0} |")
    });
    let head = "| weights, time | mean of 5 seeds | most | bound |";
    let apart = Block { name: "apart", text: table(head, rows.collect()) };

    let step_ms = 5 * MINUTE_MS;
    let windows: Vec<_> = (0..day.ends_ms / step_ms).map(|at| at * step_ms).collect();
    let had = (0..3).map(|at| {
        let point = |from_ms: &i64| {
            let part = seen.parts(*from_ms, from_ms + step_ms)[at];
            (hours(from_ms + step_ms / 2), 100.0 * part)
        };
        line(format!("weight {}", weights[at]), windows.iter().map(point).collect())
    });
    let should = (0..3).map(|at| {
        let phases = [(0, day.leaves_ms, 3), (day.leaves_ms, day.returns_ms, 2)];
        let phases = phases.into_iter().chain([(day.returns_ms, day.ends_ms, 3)]);
        let ends = phases.flat_map(|(from_ms, to_ms, here)| {
            [from_ms, to_ms].map(|ms| (hours(ms), due(here)[at]))
        });
        dashed(if at == 0 { "what the weights say" } else { "" }, ends.collect())
    });
    let chart = Chart {
        title: "Shares of the runners' time",
        x: Axis { name: "hours", most: 6.0 },
        y: Axis { name: "percent of the runners' time", most: 80.0 },
        lines: had.chain(should).collect(),
    };
    let figures = vec![Figure { file: "shares.svg", chart }];
    (vec![Block { name: "shares", text }, apart], figures)
}

fn due() -> Section {
    const RAISES_S: [i64; 6] = [0, 15, 30, 60, 120, 300];
    const PROMISES: [due::Promise; 3] =
        [due::Promise::Start, due::Promise::End, due::Promise::Nothing];
    let seeds: Vec<u64> = (1..=10).collect();
    let seen = RAISES_S.map(|raise_s| {
        on_all_cores(&seeds, |seed| {
            let courses = due::play(8 * HOUR_MS, raise_s * 1_000, *seed);
            PROMISES.map(|promise| due::kept(&courses, promise))
        })
    });
    let range = |of: &[[due::Kept; 3]], at: usize, value: fn(&due::Kept) -> f64| {
        Range::of(&of.iter().map(|kept| value(&kept[at])).collect::<Vec<_>>())
    };
    let percent = |of: &[[due::Kept; 3]], at| {
        let Range { mean, least, most } = range(of, at, |kept| 100.0 * kept.part);
        format!("{mean:.1} ({least:.1} to {most:.1})")
    };
    let wait = |of: &[[due::Kept; 3]], at| range(of, at, |kept| kept.mean_wait_ms).mean / 1_000.0;
    let rows = RAISES_S.iter().zip(&seen).map(|(raise_s, of)| {
        let name = if *raise_s == 0 { "off".to_owned() } else { format!("{raise_s} s") };
        let [start, end, other] = [0, 1, 2].map(|at| wait(of, at));
        let (starts, ends) = (percent(of, 0), percent(of, 1));
        format!("| {name} | {starts} | {ends} | {start:.0} | {end:.0} | {other:.0} |")
    });
    let head = "| `deadline_raise_ms` | % of starts in time | % of ends in time | wait, `max_wait` | \
                wait, `deadline` | wait, others |";
    let text = table(head, rows.collect());
    let kept = |at: usize, name| {
        let mean = |of: &Vec<_>| range(of, at, |kept| 100.0 * kept.part).mean;
        let shown = RAISES_S.iter().zip(&seen).filter(|(raise_s, _)| **raise_s <= 120);
        let points = shown.map(|(raise_s, of)| (*raise_s as f64, mean(of)));
        line(name, points.collect())
    };
    let chart = Chart {
        title: "Promises kept",
        x: Axis { name: "deadline_raise_ms, in seconds", most: 120.0 },
        y: Axis { name: "percent kept", most: 100.0 },
        lines: vec![kept(0, "start within max_wait"), kept(1, "end before the deadline")],
    };
    (vec![Block { name: "due", text }], vec![Figure { file: "due.svg", chart }])
}

fn learned() -> Section {
    const SEEDS: u64 = 20;
    const JOBS: usize = 3_000;
    let all = [fleets::HALF_SLOW, fleets::ONE_CLASS_SLOW, fleets::TENTH_FAILING, fleets::UNIFORM];
    let rows = [40, 20, 60].into_iter().flat_map(|load_percent| {
        let stream = fleets::Stream { jobs: JOBS, load_percent };
        all.map(|fleet| {
            let seen = fleets::compare(fleet, stream, SEEDS);
            let seconds = |Range { mean, least, most }: Range| {
                let [mean, least, most] = [mean, least, most].map(|ms| ms / 1_000.0);
                format!("{mean:.1} ({least:.1} to {most:.1})")
            };
            let Range { mean, least, most } = seen.percent;
            let percent = format!("{mean:.1} ({least:.1} to {most:.1})");
            let (least_loaded, learned) = (seconds(seen.least_loaded_ms), seconds(seen.learned_ms));
            let what = format!("{}, {load_percent} %", fleet.name);
            format!("| {what} | {least_loaded} | {learned} | {percent} | {} |", seen.better)
        })
    });
    let head = "| fleet, load | `least_loaded` s | `learned` s | % of it | seeds better |";
    let text = table(head, rows.collect());
    let part = 100;
    let stream = fleets::Stream { jobs: JOBS, load_percent: 40 };
    let over_time = |policy: &str| {
        let means = fleets::over_time(fleets::HALF_SLOW, stream, policy, SEEDS, part);
        let point = |(at, ms): (usize, f64)| ((at * part + part / 2) as f64, ms / 1_000.0);
        line(policy, means.into_iter().enumerate().map(point).collect())
    };
    let chart = Chart {
        title: "Mean completion time while the fleet is learned",
        x: Axis { name: "jobs since the start", most: JOBS as f64 },
        y: Axis { name: "mean completion, in seconds", most: 40.0 },
        lines: vec![over_time("least_loaded"), over_time("learned")],
    };
    (vec![Block { name: "learned", text }], vec![Figure { file: "learned.svg", chart }])
}

fn spread() -> Section {
    let crowd = |load_percent| spread::Crowd { runners: 300, jobs: 30_000, load_percent };
    let played = ["least_loaded", "round_robin"]
        .into_iter()
        .flat_map(|policy| [5, 50, 90].map(|load_percent| (policy, load_percent)));
    let played: Vec<_> = played.collect();
    let seen = on_all_cores(&played, |(policy, load_percent)| {
        let mut counts = spread::jobs_by_runner(crowd(*load_percent), policy, 1);
        counts.sort_unstable();
        counts
    });
    let rows = played.iter().zip(&seen).map(|((policy, load_percent), counts)| {
        let jobs: Vec<_> = counts.iter().map(|count| *count as f64).collect();
        let Range { mean, least, most } = Range::of(&jobs);
        let squares = jobs.iter().map(|jobs| (jobs - mean) * (jobs - mean)).sum::<f64>();
        let deviation = (squares / jobs.len() as f64).sqrt();
        format!("| `{policy}`, {load_percent} % | {least} | {mean} | {most} | {deviation:.1} |")
    });
    let head = "| policy, load | least | mean | most | standard deviation |";
    let text = table(head, rows.collect());
    // In turn, and with room, all have the same: one such line says enough.
    let shown = played.iter().zip(&seen).filter(|(it, _)| it.0 == "least_loaded" || it.1 == 90);
    let lines = shown.map(|((policy, load_percent), counts)| {
        let points = counts.iter().enumerate().map(|(at, jobs)| (at as f64, *jobs as f64));
        let name = format!("{policy} {load_percent} %");
        match *policy {
            "least_loaded" => line(name, points.collect()),
            _ => dashed(name, points.collect()),
        }
    });
    let chart = Chart {
        title: "Jobs of each runner",
        x: Axis { name: "runners, from the one with the fewest jobs", most: 300.0 },
        y: Axis { name: "jobs", most: 140.0 },
        lines: lines.collect(),
    };
    (vec![Block { name: "spread", text }], vec![Figure { file: "spread.svg", chart }])
}

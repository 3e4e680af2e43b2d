//! Plots as SVG, without a background: their colours are seen on white and on black.

use std::fmt::Write as _;

use super::Compared;
use super::figures::Second;
use super::model::SECOND;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
/// Top and height of the panels.
const ADDED: (f64, f64) = (52.0, 210.0);
const LOST: (f64, f64) = (306.0, 130.0);
/// Of middling lightness, and told apart also by those who do not see red or green.
const COLOURS: [&str; 6] = ["#3b82f6", "#e07b00", "#0d9f7a", "#d6409f", "#8b7cf6", "#808080"];
const GREY: &str = "#808080";
/// Milliseconds at the ends of the upper panel, which is logarithmic.
const LEAST_MS: f64 = 1.0;
const MOST_MS: f64 = 40_000.0;
/// Points of one line.
const POINTS: usize = 240;

struct Panel {
    top: f64,
    height: f64,
    seconds: f64,
}

impl Panel {
    fn x(&self, second: f64) -> f64 {
        LEFT + second / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    /// From the share of the height.
    fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share.clamp(0.0, 1.0))
    }

    fn grid(&self, svg: &mut String, share: f64, label: &str) {
        let (y, right) = (self.y(share), WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            r#"<line x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}" stroke-opacity="0.35"/>"#
        );
        text(svg, LEFT - 8.0, y + 4.0, "end", label);
    }

    fn line(&self, svg: &mut String, colour: &str, points: &[(f64, f64)]) {
        let points = points
            .iter()
            .map(|(second, share)| format!("{:.1},{:.1}", self.x(*second), self.y(*share)));
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            svg,
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>"#
        );
    }

    fn shade(&self, svg: &mut String, from: f64, to: f64) {
        let (x, top, height) = (self.x(from), self.top, self.height);
        let width = self.x(to) - x;
        let _ = write!(svg, r#"<rect x="{x:.1}" y="{top}" width="{width:.1}" height="{height}""#);
        let _ = writeln!(svg, r#" fill="{GREY}" fill-opacity="0.14" stroke="none"/>"#);
    }
}

/// The time calls wait, and the calls that are lost, over time, for all variants.
pub fn svg(compared: &Compared) -> String {
    let most = compared.variants.iter().map(|(_, figures)| figures.series.len()).max();
    let seconds = most.unwrap_or(1).max(1) as f64;
    let panel = |(top, height): (f64, f64)| Panel { top, height, seconds };
    let (added, lost) = (panel(ADDED), panel(LOST));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" stroke=\"{GREY}\">\n"
    );
    legend(&mut svg, compared);
    let (from, to) = (compared.course.from, compared.course.to);
    let second = |ns: u64| (ns / SECOND) as f64;
    for panel in [&added, &lost] {
        if compared.course.is_disturbed() {
            panel.shade(&mut svg, second(from), second(to));
        }
    }
    for (ms, label) in
        [(1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1_000.0, "1 s"), (10_000.0, "10 s")]
    {
        added.grid(&mut svg, logarithmic(ms), label);
    }
    let worst = worst_loss(compared);
    for part in [0.0, 0.5, 1.0] {
        let percent = part * worst * 100.0;
        let decimals = usize::from(worst < 0.1);
        lost.grid(&mut svg, part, &format!("{percent:.decimals$} %"));
    }
    times(&mut svg, &lost);
    text(&mut svg, LEFT, ADDED.0 - 8.0, "start", "p99 of the time a call takes beyond its handler");
    text(&mut svg, LEFT, LOST.0 - 8.0, "start", "calls lost");
    for ((_, figures), colour) in compared.variants.iter().zip(COLOURS) {
        let points = points(&figures.series, |second| logarithmic(second.added_p99_ms));
        added.line(&mut svg, colour, &points);
        lost.line(&mut svg, colour, &points_of_loss(&figures.series, worst));
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, compared: &Compared) {
    let mut x = LEFT;
    for ((variant, _), colour) in compared.variants.iter().zip(COLOURS) {
        let name = variant.name();
        let end = x + 18.0;
        let _ = write!(svg, r#"<line x1="{x:.0}" x2="{end:.0}" y1="16" y2="16""#);
        let _ = writeln!(svg, r#" stroke="{colour}" stroke-width="3"/>"#);
        text(svg, end + 6.0, 20.0, "start", &name);
        x = end + 26.0 + name.len() as f64 * 6.6;
    }
}

fn times(svg: &mut String, panel: &Panel) {
    let step = [10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];
    let step = step.into_iter().find(|step| panel.seconds / step <= 10.0).unwrap_or(3_600.0);
    let mut at = 0.0;
    while at <= panel.seconds {
        text(svg, panel.x(at), panel.top + panel.height + 18.0, "middle", &format!("{at:.0} s"));
        at += step;
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    // Names and labels are ours and hold nothing to escape.
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}""#);
    let _ = writeln!(svg, r#" fill="{GREY}" stroke="none">{content}</text>"#);
}

fn logarithmic(ms: f64) -> f64 {
    (ms.max(LEAST_MS) / LEAST_MS).ln() / (MOST_MS / LEAST_MS).ln()
}

fn worst_loss(compared: &Compared) -> f64 {
    let all = compared.variants.iter().flat_map(|(_, figures)| &figures.series);
    let worst = all.map(|second| second.lost).fold(0.0, f64::max);
    // Up to a round number of percent.
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].into_iter().find(|round| worst <= *round).unwrap_or(1.0)
}

/// The worst of neighbouring seconds, where there are more than can be drawn; none where no call
/// came.
fn points(series: &[Second], share: impl Fn(&Second) -> f64) -> Vec<(f64, f64)> {
    let each = series.len().div_ceil(POINTS).max(1);
    let chunks = series.chunks(each).enumerate();
    let points = chunks.filter_map(|(at, seconds)| {
        let with_calls = seconds.iter().filter(|second| second.came > 0);
        let worst = with_calls.map(&share).reduce(f64::max)?;
        Some(((at * each) as f64, worst))
    });
    points.collect()
}

fn points_of_loss(series: &[Second], worst: f64) -> Vec<(f64, f64)> {
    points(series, |second| second.lost / worst)
}

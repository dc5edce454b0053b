//! Lines over axes that begin at zero, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// Left, right, top and bottom of what is drawn into.
const PLOT: (f64, f64, f64, f64) = (64.0, 704.0, 40.0, 252.0);
/// Colours that people tell apart who see few (Okabe and Ito 2008).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"];
const TICKS_MAX: f64 = 8.0;

/// What stands along an axis, and where the axis ends.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) most: f64,
}

/// A named line through points. The first dashed one has the colour of the first that is not, and so
/// on: it shows what that line should be.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
}

/// A figure.
pub(crate) struct Chart {
    /// For those who do not see it.
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

impl Chart {
    /// The file's text.
    pub(crate) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            self.title
        );
        self.draw(&mut svg).expect("a string takes everything");
        svg + "</svg>\n"
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let (left, right, top, bottom) = PLOT;
        for tick in ticks(self.y.most) {
            let (y, below) = (self.y_of(tick), self.y_of(tick) + 4.0);
            writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#dddddd\"/>")?;
            let text = "text-anchor=\"end\" fill=\"#444444\"";
            writeln!(svg, "<text x=\"{}\" y=\"{below:.1}\" {text}>{tick}</text>", left - 6.0)?;
        }
        for tick in ticks(self.x.most) {
            let x = self.x_of(tick);
            writeln!(svg, "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#888888\"/>")?;
            let text = "text-anchor=\"middle\" fill=\"#444444\"";
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" {text}>{tick}</text>", bottom + 19.0)?;
        }
        let axes = format!("M{left} {top}V{bottom}H{right}");
        writeln!(svg, "<path d=\"{axes}\" fill=\"none\" stroke=\"#888888\"/>")?;
        let middle = (left + right) / 2.0;
        let text = "text-anchor=\"middle\" fill=\"#222222\"";
        writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" {text}>{}</text>",
            HEIGHT - 10.0,
            self.x.name
        )?;
        let turned = format!("transform=\"translate(16 {}) rotate(-90)\"", (top + bottom) / 2.0);
        writeln!(svg, "<text {turned} {text}>{}</text>", self.y.name)?;
        self.draw_lines(svg)
    }

    fn draw_lines(&self, svg: &mut String) -> std::fmt::Result {
        let (mut whole, mut dashed, mut legend_x) = (0, 0, PLOT.0);
        for line in &self.lines {
            let place = if line.dashed { &mut dashed } else { &mut whole };
            let colour = COLOURS[*place % COLOURS.len()];
            *place += 1;
            let dashes = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let pen = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"{dashes}");
            let points = line.points.iter().map(|(x, y)| (self.x_of(*x), self.y_of(*y)));
            let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(svg, "<polyline points=\"{}\" {pen}/>", points.join(" "))?;
            if !line.name.is_empty() {
                writeln!(svg, "<path d=\"M{legend_x} 22h22\" {pen}/>")?;
                let at = format!("x=\"{}\" y=\"26\"", legend_x + 28.0);
                writeln!(svg, "<text {at} fill=\"#222222\">{}</text>", line.name)?;
                // Letters are about so wide.
                legend_x += 50.0 + 6.6 * line.name.len() as f64;
            }
        }
        Ok(())
    }

    fn x_of(&self, x: f64) -> f64 {
        PLOT.0 + (PLOT.1 - PLOT.0) * x / self.x.most
    }

    fn y_of(&self, y: f64) -> f64 {
        PLOT.3 - (PLOT.3 - PLOT.2) * y / self.y.most
    }
}

/// Round numbers from zero to the end of an axis, not too many.
fn ticks(most: f64) -> impl Iterator<Item = f64> {
    let steps = (0..6).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
    let step = steps.into_iter().find(|step| most / step <= TICKS_MAX).unwrap_or(most);
    (0..=(most / step) as u32).map(move |at| f64::from(at) * step)
}

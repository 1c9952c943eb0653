//! A trend by ranks: Kendall's τ, the slope of Theil and Sen, and Sen's interval around it.

/// The trend of some points.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    /// From -1, always falling, to 1, always rising.
    pub(super) tau: f64,
    /// The median of all slopes between two points.
    pub(super) slope: f64,
    /// The ends of its interval at 95 %.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// The median distance of the points from the line.
    pub(super) scatter: f64,
    /// Where the line stands at zero.
    offset: f64,
}

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.96;

impl Trend {
    /// The trend of points by time; `None` for less than three.
    pub(super) fn of(points: &[(f64, f64)]) -> Option<Trend> {
        if points.len() < 3 {
            return None;
        }
        let slopes = slopes(points);
        let pairs = slopes.len() as f64;
        let signs: f64 = slopes.iter().map(|slope| if *slope == 0.0 { 0.0 } else { slope.signum() }).sum();
        let slope = median_of_sorted(&slopes)?;
        let offsets: Vec<f64> = points.iter().map(|(at, value)| value - slope * at).collect();
        let offset = median(&offsets)?;
        let distances: Vec<f64> = offsets.iter().map(|own| (own - offset).abs()).collect();
        // The variance of Kendall's sum without ties; with ties it is smaller, and the interval errs to the wide side.
        let count = points.len() as f64;
        let spread = Z * (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
        let rank = |rank: f64| slopes.get(rank.round().clamp(0.0, pairs - 1.0) as usize).copied();
        Some(Trend {
            tau: signs / pairs,
            slope,
            lowest: rank((pairs - spread) / 2.0 - 1.0)?,
            highest: rank((pairs + spread) / 2.0)?,
            scatter: median(&distances)?,
            offset,
        })
    }

    /// The slope alone.
    pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
        median_of_sorted(&slopes(points))
    }

    /// Where the line stands.
    pub(super) fn at(&self, time: f64) -> f64 {
        self.offset + self.slope * time
    }
}

/// The slopes between all pairs of points of different times, in order.
fn slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let pairs =
        points.iter().enumerate().flat_map(|(at, first)| points.iter().skip(at + 1).map(move |second| (first, second)));
    let mut slopes: Vec<f64> = pairs.filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
    slopes.sort_by(f64::total_cmp);
    slopes
}

/// The value in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(half).copied(),
        _ => Some((sorted.get(half.checked_sub(1)?)? + sorted.get(half)?) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_with_its_slope_and_no_scatter() {
        let points: Vec<(f64, f64)> = (0..12).map(|at| (f64::from(at), 5.0 + 3.0 * f64::from(at))).collect();
        let trend = Trend::of(&points).unwrap();
        assert!((trend.tau - 1.0).abs() < 1e-9 && (trend.slope - 3.0).abs() < 1e-9, "{trend:?}");
        assert!(trend.scatter < 1e-9 && (trend.at(20.0) - 65.0).abs() < 1e-9, "{trend:?}");
    }

    #[test]
    fn one_wild_point_does_not_bend_it() {
        let mut points: Vec<(f64, f64)> = (0..12).map(|at| (f64::from(at), f64::from(at))).collect();
        points[11].1 = 1e9;
        let trend = Trend::of(&points).unwrap();
        assert!((trend.slope - 1.0).abs() < 1e-9 && trend.lowest <= 1.0 && trend.highest >= 1.0, "{trend:?}");
    }

    #[test]
    fn what_does_not_move_has_no_trend() {
        let points: Vec<(f64, f64)> = (0..12).map(|at| (f64::from(at), 7.0)).collect();
        let trend = Trend::of(&points).unwrap();
        assert!(trend.tau.abs() < 1e-9 && trend.slope.abs() < 1e-9, "{trend:?}");
        assert!(Trend::of(&points[..2]).is_none());
    }
}

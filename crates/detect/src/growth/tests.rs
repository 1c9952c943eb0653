//! The synthetic set: 300 series of each kind, of 240 readings with noise that remembers itself. What the numbers of the
//! rules are held against.

use super::*;
use reckon_model::Timestamp;

const SERIES: u64 = 300;
const POINTS: u32 = 240;
const LIMIT: f64 = 1024.0 * 1024.0 * 1024.0;
const EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Numbers that look like chance and are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Close enough to normal: the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A series of shares of the limit, by a function of the share of time that is over, with noise added.
fn series(chance: &mut Chance, mut level: impl FnMut(&mut Chance, f64) -> f64) -> Vec<MemoryUse> {
    let remembers = chance.between(0.3, 0.9);
    let strength = chance.between(0.002, 0.015);
    let mut noise = 0.0;
    (0..POINTS)
        .map(|point| {
            noise = remembers * noise + (1.0 - remembers * remembers).sqrt() * chance.normal();
            let share = level(chance, f64::from(point) / f64::from(POINTS)) + strength * noise;
            let bytes = (share.max(0.01) * LIMIT) as u64;
            let at = Timestamp::UNIX_EPOCH + EVERY * i32::try_from(point).unwrap();
            MemoryUse { at, floor: bytes, peak: bytes }
        })
        .collect()
}

fn life(uses: &[MemoryUse]) -> Life<'_> {
    Life { uses, limit: LIMIT as u64, started: None, killed: None }
}

/// How many of the kind are called growth.
fn called_growth(kind: impl Fn(&mut Chance) -> Vec<MemoryUse>) -> u64 {
    let grows = |seed: u64| life(&kind(&mut Chance(seed))).shape() == Some(Shape::Growth);
    (0..SERIES).map(|seed| u64::from(grows(seed))).sum()
}

fn flat(chance: &mut Chance) -> Vec<MemoryUse> {
    let level = chance.between(0.1, 0.9);
    series(chance, |_, _| level)
}

fn teeth(chance: &mut Chance) -> impl FnMut(&mut Chance, f64) -> f64 + use<> {
    let (teeth, height) = (chance.between(3.0, 60.0), chance.between(0.05, 0.5));
    let phase = chance.unit();
    move |_, time| height * (time * teeth + phase).fract()
}

fn sawtooth(chance: &mut Chance) -> Vec<MemoryUse> {
    let (level, mut teeth) = (chance.between(0.1, 0.4), teeth(chance));
    series(chance, |chance, time| level + teeth(chance, time))
}

fn bursts(chance: &mut Chance) -> Vec<MemoryUse> {
    let (level, often) = (chance.between(0.1, 0.5), chance.between(0.01, 0.1));
    let mut left = 0.0;
    series(chance, |chance, _| {
        left = if chance.unit() < often { chance.between(0.1, 0.5) } else { left * 0.5 };
        level + left
    })
}

fn daily(chance: &mut Chance) -> Vec<MemoryUse> {
    let (level, height) = (chance.between(0.3, 0.6), chance.between(0.05, 0.25));
    let (days, phase) = (chance.between(1.0, 4.0), chance.unit());
    series(chance, |_, time| level + height * (std::f64::consts::TAU * (time * days + phase)).sin())
}

fn leak(smallest: f64) -> impl Fn(&mut Chance) -> Vec<MemoryUse> {
    move |chance| {
        let (level, rise) = (chance.between(0.05, 0.3), chance.between(smallest, 0.7));
        let mut teeth = teeth(chance);
        let height = chance.between(0.0, 0.3);
        series(chance, |chance, time| level + rise * time + height * teeth(chance, time))
    }
}

fn warm_up(chance: &mut Chance) -> Vec<MemoryUse> {
    let (level, rise, quick) = (chance.between(0.1, 0.3), chance.between(0.2, 0.6), chance.between(6.0, 20.0));
    series(chance, |_, time| level + rise * (1.0 - (-quick * time).exp()))
}

fn step(chance: &mut Chance) -> Vec<MemoryUse> {
    let (level, rise, when) = (chance.between(0.1, 0.3), chance.between(0.2, 0.6), chance.between(0.2, 0.8));
    series(chance, |_, time| level + if time >= when { rise } else { 0.0 })
}

#[test]
fn nothing_that_comes_down_again_is_called_growth() {
    type Maker = fn(&mut Chance) -> Vec<MemoryUse>;
    let kinds: [(&str, Maker); 4] = [("flat", flat), ("sawtooth", sawtooth), ("burst", bursts), ("daily", daily)];
    for (name, kind) in kinds {
        assert_eq!(called_growth(kind), 0, "{name}");
    }
}

#[test]
fn leaks_of_a_third_of_the_limit_are_found() {
    let found = called_growth(leak(0.3));
    assert!(found * 100 >= SERIES * 98, "{found} of {SERIES}");
}

#[test]
fn what_comes_to_rest_is_no_growth() {
    for (name, kind) in [("warm-up", warm_up as fn(&mut Chance) -> _), ("step", step)] {
        let found = called_growth(kind);
        assert!(found * 100 <= SERIES * 3, "{name}: {found} of {SERIES}");
    }
}

#[test]
fn a_leak_reaches_its_limit_within_the_forecast() {
    let (mut told, mut right, mut close) = (0_u32, 0_u32, 0_u32);
    for seed in 0..SERIES {
        let chance = &mut Chance(seed);
        let (level, rise) = (chance.between(0.05, 0.2), chance.between(0.3, 0.6));
        let uses = series(chance, |_, time| level + rise * time);
        let Some(forecast) = life(&uses).forecast() else { continue };
        told += 1;
        let whole = EVERY * i32::try_from(POINTS).unwrap();
        let met = Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(whole.as_secs_f64() * (1.0 - level) / rise);
        right += u32::from(forecast.from <= met && met <= forecast.to);
        let last = uses.last().unwrap().at;
        let (wanted, got) = (met.duration_since(last).as_secs_f64(), forecast.at.duration_since(last).as_secs_f64());
        close += u32::from((got / wanted - 1.0).abs() <= 0.25);
    }
    assert!(told >= 290 && close * 100 >= told * 95 && right * 100 >= told * 85, "{right} and {close} of {told}");
}

#[test]
fn no_forecast_is_made_of_what_does_not_grow() {
    for kind in [flat, sawtooth, bursts, daily] {
        for seed in 0..SERIES {
            assert_eq!(life(&kind(&mut Chance(seed))).forecast(), None);
        }
    }
}

fn reading(seconds: i64, bytes: u64) -> MemoryUse {
    MemoryUse { at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds), floor: bytes, peak: bytes }
}

#[test]
fn too_few_readings_tell_nothing() {
    let uses: Vec<_> = (0..8).map(|at| reading(at * 10, 100 + 50 * u64::try_from(at).unwrap())).collect();
    let life = Life { uses: &uses, limit: 1000, started: None, killed: None };
    assert_eq!((life.shape(), life.forecast()), (None, None));
    assert_eq!(Life { uses: &[], ..life }.shape(), None);
}

#[test]
fn a_long_silence_means_that_nothing_changed() {
    let uses: Vec<_> = (0..10).chain(500..510).map(|at| reading(at * 10, 100)).collect();
    assert_eq!(Life { uses: &uses, limit: 1000, started: None, killed: None }.shape(), None);
}

#[test]
fn a_death_at_the_start_and_one_out_of_a_calm_are_told_by_the_kernels_last_word() {
    let calm: Vec<_> = (0..30).map(|at| reading(at * 10, 100)).collect();
    let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
    let life = Life { uses: &calm, limit: 1000, started: Some(at(0)), killed: Some((at(305), Some(1000))) };
    assert_eq!(life.shape(), Some(Shape::Burst));
    assert_eq!(Life { killed: Some((at(20), None)), ..life }.shape(), Some(Shape::Startup));
    let full: Vec<_> = (0..30).map(|at| reading(at * 10, 950)).collect();
    assert_eq!(Life { uses: &full, ..life }.shape(), Some(Shape::Plateau));
}

#[test]
fn lifetimes_alone_tell_a_leak_from_load() {
    let of = |seconds: &[i64]| {
        by_lifetimes(&seconds.iter().map(|lived| SignedDuration::from_secs(*lived)).collect::<Vec<_>>())
    };
    assert_eq!(of(&[3600, 3500, 3700, 3650]), Some(Shape::Growth));
    assert_eq!(of(&[3600, 100, 9000, 300]), Some(Shape::Burst));
    assert_eq!(of(&[20, 25, 4000]), Some(Shape::Startup));
    assert_eq!(of(&[3600, 3500, 3700]), None);
    assert_eq!(of(&[3600, 1800, 2400, 3000]), None);
}

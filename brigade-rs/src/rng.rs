//! The game's random numbers: PCG64 (a 128-bit LCG with XSL-RR output).
//!
//! Promises the streams of `rand_pcg` 0.3's `Pcg64::seed_from_u64` and the 32-bit floats that
//! `rand` 0.8 makes of them. It is written out here because a trajectory must stay the same for
//! ever, whatever later versions of those crates do.

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// Draws are whole multiples of 2^-24: 24 bits, the precision of an `f32`.
const DRAW_STEPS: f32 = 16_777_216.0;

/// One stream of draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcg64 {
    state: u128,
    increment: u128,
}

impl Pcg64 {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        // rand_core 0.6 stretches a u64 into a longer seed with a 32-bit PCG.
        let mut filler = seed;
        let mut words = [0u128; 8];
        for word in &mut words {
            filler = filler
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(11_634_580_027_462_260_723);
            let xorshifted = (((filler >> 18) ^ filler) >> 27) as u32;
            *word = u128::from(xorshifted.rotate_right((filler >> 59) as u32));
        }
        let join = |w: &[u128]| w[0] | w[1] << 32 | w[2] << 64 | w[3] << 96;
        let increment = join(&words[4..]) | 1;
        let mut rng = Self { state: join(&words[..4]).wrapping_add(increment), increment };
        rng.advance();
        rng
    }

    /// The stream at this place, as `parts` gave it; `None` where no stream can be there.
    pub fn from_parts(state: u128, increment: u128) -> Option<Self> {
        // An even increment has no full period: no seed leads there.
        (increment & 1 == 1).then_some(Self { state, increment })
    }

    /// State and increment, which say all about the stream.
    pub fn parts(&self) -> (u128, u128) {
        (self.state, self.increment)
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    #[inline(always)]
    fn next_u32(&mut self) -> u32 {
        self.advance();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32) as u32
    }

    /// One draw, as a whole number below 2^24.
    #[inline(always)]
    pub fn draw_bits(&mut self) -> u32 {
        self.next_u32() >> 8
    }

    /// One draw, as a 32-bit float in [0, 1).
    #[inline]
    pub fn draw(&mut self) -> f32 {
        self.draw_bits() as f32 / DRAW_STEPS
    }

    /// One draw: whether it is below the chance.
    #[inline(always)]
    pub fn happens(&mut self, chance: Chance) -> bool {
        chance.is_above(self.draw_bits())
    }

    /// One draw: an index below `count`, each as likely as 24 bits allow. `count` is at least 1.
    #[inline]
    pub fn below(&mut self, count: usize) -> usize {
        let draw = u64::from(self.draw_bits());
        ((draw * count as u64) >> 24) as usize
    }
}

/// A stream of draws of which each can be had without those before it: SplitMix64 (Steele, Lea
/// and Flood 2014, "Fast Splittable Pseudorandom Number Generators").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64 {
    seed: u64,
}

impl SplitMix64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A stream derived from a generator's state, and independent of what that goes on to draw.
    pub fn beside(rng: &Pcg64) -> Self {
        let (high, low) = ((rng.state >> 64) as u64, rng.state as u64);
        Self::new(Self::mix(high ^ Self::mix(low)))
    }

    /// Number `index` of the stream.
    #[inline]
    pub fn number(&self, index: usize) -> u64 {
        Self::mix(self.seed.wrapping_add(Self::GAMMA.wrapping_mul(index as u64 + 1)))
    }

    /// Draw `index` of the stream, as a whole number below 2^24.
    #[inline]
    pub fn draw_bits(&self, index: usize) -> u32 {
        (self.number(index) >> 40) as u32
    }

    #[inline]
    fn mix(mut word: u64) -> u64 {
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// A probability as the number of the 2^24 draws that are below it.
///
/// Multiplying an `f32` by 2^24 loses nothing, so comparing whole numbers gives exactly what
/// comparing the draw with the `f32` gives, without the conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u32);

impl Chance {
    /// Of a probability in [0, 1].
    pub fn new(probability: f32) -> Self {
        Self((probability * DRAW_STEPS).ceil() as u32)
    }

    /// Whether a draw, as a whole number below 2^24, is below the chance.
    #[inline(always)]
    pub fn is_above(self, draw: u32) -> bool {
        draw < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_11_starts_with_the_published_draws() {
        let mut rng = Pcg64::new(11);
        let published = [0.925_563_22, 0.009_963_39, 0.726_156_12, 0.376_927_79, 0.954_270_18];
        for draw in published {
            assert!((f64::from(rng.draw()) - draw).abs() < 5e-9);
        }
    }

    #[test]
    fn a_chance_is_the_comparison_of_floats() {
        let mut floats = Pcg64::new(3);
        let mut chances = floats.clone();
        for i in 0..100_000 {
            let probability = (i % 1001) as f32 / 1000.0;
            let below = floats.draw() < probability;
            assert_eq!(below, chances.happens(Chance::new(probability)));
        }
    }

    #[test]
    fn splitmix_starts_with_the_published_numbers() {
        // Of the reference implementation, seeded with 1234567.
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        let stream = SplitMix64::new(1_234_567);
        assert_eq!([0, 1, 2, 3, 4].map(|index| stream.number(index)), published);
    }

    #[test]
    fn a_stream_beside_another_is_uniform_and_tells_nothing_of_it() {
        // Four draws beside each of many states, and the four that follow; mean 0, variance 1.
        const STATES: usize = 100_000;
        let standard = |draw: u32| (f64::from(draw) / 16_777_216.0 - 0.5) * 12f64.sqrt();
        let mut rng = Pcg64::new(12);
        let rows: Vec<[f64; 8]> = (0..STATES)
            .map(|_| {
                let beside = SplitMix64::beside(&rng);
                std::array::from_fn(|i| {
                    standard(if i < 4 { beside.draw_bits(i) } else { rng.draw_bits() })
                })
            })
            .collect();
        let is_chance = |sum: f64| sum.abs() < 4.5 * (STATES as f64).sqrt();
        for i in 0..8 {
            assert!(is_chance(rows.iter().map(|row| row[i]).sum()));
            for j in 0..8 {
                let expected = if i == j { STATES as f64 } else { 0.0 };
                assert!(is_chance(rows.iter().map(|row| row[i] * row[j]).sum::<f64>() - expected));
                // And of what is drawn at the next state.
                assert!(is_chance(rows.windows(2).map(|pair| pair[0][i] * pair[1][j]).sum()));
            }
        }
    }

    #[test]
    fn an_even_increment_is_no_stream() {
        assert!(Pcg64::from_parts(5, 4).is_none());
        let rng = Pcg64::new(9);
        let (state, increment) = rng.parts();
        assert_eq!(Pcg64::from_parts(state, increment), Some(rng));
    }
}

//! What each draw of a night decides, so that a night can be played again with other actions and
//! the same draws.
//!
//! Two nights that differ in an action draw for different houses: only what burns can go out, only
//! what is safe can ignite. Taken in order from one stream, all draws after the first difference
//! would go to other houses. So they are remembered by what they decide: common random numbers,
//! synchronised (Law and Kelton, *Simulation Modeling and Analysis*, on variance reduction).
//!
//! Whether a night draws for an event depends on the draws before, not on the event's own. So the
//! draws of the night that is played again are independent and uniform as well, whatever the
//! actions of the first.

use crate::rng::{Pcg64, SplitMix64};

/// What a draw decides, and of which house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Whether the fire in this house goes out.
    Extinguish(usize),
    /// Whether the fire in this house spreads to the left.
    SpreadLeft(usize),
    /// Whether the fire in this house spreads to the right.
    SpreadRight(usize),
    /// Whether this house ignites.
    Ignite(usize),
}

/// How many kinds of events there are.
const KINDS: usize = 4;

/// No draw is as large.
const NOT_DRAWN: u32 = u32::MAX;

/// The draws of one night of one game, and those that it does not make.
#[derive(Clone, Debug)]
pub struct Draws {
    num_houses: usize,
    /// What the night drew, or `NOT_DRAWN`. (kinds, houses)
    drawn: Vec<u32>,
    /// The draws of all other events.
    fresh: SplitMix64,
}

impl Draws {
    /// Room for the draws of a night.
    pub fn new(num_houses: usize) -> Self {
        let drawn = vec![NOT_DRAWN; KINDS * num_houses];
        Self { num_houses, drawn, fresh: SplitMix64::new(0) }
    }

    /// Forgets all draws, before a night that starts with the game's generator in this state.
    pub fn start(&mut self, rng: &Pcg64) {
        self.drawn.fill(NOT_DRAWN);
        self.fresh = SplitMix64::beside(rng);
    }

    /// Draws for an event, and remembers what fell.
    #[inline(always)]
    pub fn draw(&mut self, rng: &mut Pcg64, event: Event) -> u32 {
        let index = self.index(event);
        let draw = rng.draw_bits();
        self.drawn[index] = draw;
        draw
    }

    /// What the night drew for an event; where it drew nothing, a draw of another stream.
    #[inline(always)]
    pub fn again(&self, event: Event) -> u32 {
        let index = self.index(event);
        match self.drawn[index] {
            NOT_DRAWN => self.fresh.draw_bits(index),
            draw => draw,
        }
    }

    #[inline(always)]
    fn index(&self, event: Event) -> usize {
        let (kind, house) = match event {
            Event::Extinguish(house) => (0, house),
            Event::SpreadLeft(house) => (1, house),
            Event::SpreadRight(house) => (2, house),
            Event::Ignite(house) => (3, house),
        };
        kind * self.num_houses + house
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(num_houses: usize) -> impl Iterator<Item = Event> {
        let kinds = [Event::Extinguish, Event::SpreadLeft, Event::SpreadRight, Event::Ignite];
        kinds.into_iter().flat_map(move |kind| (0..num_houses).map(kind))
    }

    #[test]
    fn what_was_drawn_falls_again_and_nothing_else_depends_on_it() {
        let start = Pcg64::new(5);
        let mut nothing = Draws::new(7);
        nothing.start(&start);
        let mut some = nothing.clone();
        let mut rng = start.clone();
        let drawn = |event| matches!(event, Event::SpreadLeft(_) | Event::Ignite(2));
        for event in events(7).filter(|&event| drawn(event)) {
            let next = rng.clone().draw_bits();
            assert_eq!(some.draw(&mut rng, event), next);
            assert_eq!(some.again(event), next);
        }
        for event in events(7).filter(|&event| !drawn(event)) {
            assert_eq!(some.again(event), nothing.again(event));
        }
        some.start(&start);
        assert!(events(7).all(|event| some.again(event) == nothing.again(event)));
        let mut all: Vec<u32> = events(7).map(|event| nothing.again(event)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 28, "each event has a draw of its own");
        assert!(all.iter().all(|&draw| draw < 1 << 24));
    }
}
